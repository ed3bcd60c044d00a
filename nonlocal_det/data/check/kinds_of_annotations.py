"""The rows of `KINDS` that concern annotations: their fields, boxes, segmentations, keypoints."""

DROP = "stops; --allow-bad-data leaves the annotation out"
UNUSED = "leaves it out, as Detectron2 does"
AS_IS = "trains with it"

Row = tuple[str, ...]

# name, severity, what Detectron2 does, meaning, what training does, [needs]
ANNOTATIONS: tuple[Row, ...] = (
    ("annotation_malformed", "crash", "raises", "an annotation without id, image_id, category_id or bbox", DROP),
    ("annotation_id_duplicate", "crash", "raises", "two annotations have one id", "stops; --allow-bad-data gives the later ones new ids"),
    ("annotation_id_zero", "corrupt", "keeps", "an annotation's id is 0: the evaluation takes what matches it for a false positive", "stops; --allow-bad-data gives it a new id", "evaluation"),
    ("annotation_image_unknown", "harmless", "drops", "image_id is that of no image", UNUSED),
    ("annotation_category_unknown", "crash", "raises", "category_id is that of no category", DROP),
    ("annotation_duplicate", "harmless", "keeps", "image, category and box are those of an earlier annotation", AS_IS),
    ("iscrowd_absent", "harmless", "keeps", "no iscrowd", "takes it as 0"),
    ("iscrowd_invalid", "corrupt", "drops", "iscrowd is neither 0 nor 1: the object is taken for a crowd", DROP),
    ("ignore_set", "crash", "raises", 'there is an "ignore" that is not 0, which Detectron2 refuses', DROP),
    ("area_absent", "harmless", "keeps", "no area", "does not use it; the evaluation takes the box's"),
    ("area_wrong", "harmless", "keeps", "area is not a number, is negative, or is above the box's by a tenth", "does not use it; the evaluation sorts objects by it"),
)  # fmt: skip

BOXES: tuple[Row, ...] = (
    ("box_malformed", "crash", "raises", "bbox is not four numbers", DROP),
    ("box_not_finite", "corrupt", "drops", "bbox has a NaN or an infinity", DROP),
    ("box_negative", "corrupt", "keeps", "width or height is negative: augmentation turns the box over", DROP),
    ("box_zero", "harmless", "drops", "width or height is 0", UNUSED),
    ("box_outside", "harmless", "drops", "the box lies outside the image", UNUSED),
    ("box_over_edge", "harmless", "keeps", "the box reaches over the image's edge by more than a pixel", "clips it"),
    ("box_tiny", "harmless", "keeps", "width or height is below a pixel", AS_IS),
    ("boxes_xyxy", "corrupt", "keeps", "the boxes are corners (x, y, x, y), not (x, y, width, height)", "stops; --allow-bad-data goes on: nothing is corrected"),
    ("boxes_relative", "corrupt", "keeps", "the boxes are shares of the image, not pixels", "stops; --allow-bad-data goes on: nothing is corrected"),
)  # fmt: skip

SEGMENTATIONS: tuple[Row, ...] = (
    ("segmentation_absent", "crash", "raises", "this object has no segmentation, others have", DROP, "masks"),
    ("segmentation_malformed", "crash", "raises", "segmentation is neither a list of polygons nor an RLE", DROP),
    ("polygon_malformed", "crash", "raises", "a polygon is not a list of numbers", DROP),
    ("polygon_not_finite", "corrupt", "keeps", "a polygon has a NaN or an infinity", DROP, "masks"),
    ("polygon_short", "harmless", "drops", "a polygon has fewer than 3 points", "leaves the polygon out, and the object if it has no other"),
    ("polygon_odd", "harmless", "drops", "a polygon has an odd number of coordinates", "leaves the polygon out, and the object if it has no other"),
    ("polygon_flat", "harmless", "keeps", "a polygon has no area", AS_IS),
    ("polygon_crossing", "harmless", "keeps", "a polygon crosses itself (up to 20 000 polygons are looked at)", AS_IS),
    ("polygon_over_box", "harmless", "keeps", "the polygons reach out of the box by over a tenth of it and 2 pixels", "cuts them at the box"),
    ("polygon_off_box", "corrupt", "keeps", "polygons and box have nothing in common", DROP, "masks"),
    ("polygon_over_edge", "harmless", "keeps", "a polygon reaches over the image's edge by more than 2 pixels", "cuts it at the edge"),
    ("crowd_polygon", "harmless", "drops", "a crowd has polygons, not an RLE", "leaves it out, as all crowds"),
    ("rle_size_wrong", "crash", "raises", "the RLE's size is not the image's", DROP, "masks"),
    ("rle_corrupt", "crash", "raises", "the RLE does not decode to as many pixels as its size says", DROP),
    ("rle_short", "corrupt", "keeps", "the RLE ends early: the rest of the mask is whatever the memory holds", DROP, "masks"),
    ("rle_blank", "harmless", "drops", "the RLE has no pixel", UNUSED),
    ("rle_as_polygon", "crash", "raises", "the masks are RLE, and INPUT.MASK_FORMAT is polygon", "stops; set INPUT.MASK_FORMAT bitmask", "polygons"),
)  # fmt: skip

KEYPOINTS: tuple[Row, ...] = (
    ("keypoints_absent", "crash", "raises", "this object has no keypoints, others in its image have", DROP, "raw keypoints"),
    ("keypoints_malformed", "crash", "raises", "keypoints is not a list of numbers", DROP, "keypoints"),
    ("keypoints_count", "crash", "raises", "not three numbers for each keypoint of the category", DROP, "keypoints"),
    ("keypoint_not_finite", "corrupt", "keeps", "a labelled keypoint has a NaN or an infinity", DROP, "keypoints"),
    ("keypoint_flag", "corrupt", "keeps", "a visibility is not 0, 1 or 2; a confidence perhaps", DROP, "keypoints"),
    ("keypoint_at_origin", "corrupt", "keeps", "a labelled keypoint is at (0, 0)", DROP, "keypoints"),
    ("keypoint_outside", "harmless", "keeps", "a labelled keypoint lies outside the image", "takes it as not labelled"),
    ("keypoint_off_box", "harmless", "keeps", "a labelled keypoint lies outside the box by over half its size", AS_IS),
    ("keypoint_unlabelled_place", "harmless", "keeps", "a keypoint with v = 0 has a place", "sets it to (0, 0)"),
    ("num_keypoints_wrong", "corrupt", "keeps", "num_keypoints is not the number of labelled ones: the evaluation goes by it", "stops; --allow-bad-data corrects it", "keypoints"),
)  # fmt: skip
