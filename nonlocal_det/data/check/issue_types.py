"""What can be wrong with a data set: one table for the checks, the report and the docs.

`detectron2` is what Detectron2 does when nobody checks; the tests run it on each type.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["crash", "corrupt", "harmless"]
SEVERITIES: tuple[Severity, ...] = ("crash", "corrupt", "harmless")

SAME = "the same"


@dataclass(frozen=True)
class IssueType:
    """One type of problem.

    Attributes:
        kind: its name in the report, for people and machines.
        severity: "crash" (training stops), "corrupt" (it learns or measures something wrong),
            "harmless" (reported only).
        detectron2: what Detectron2 alone does with it.
        meaning: what is the matter.
        training: what our training does with it: the cure is part of it.
        evaluation: what our evaluation does with it, and the error analysis.
        needs: what the data must be used for, for it to matter: "", "masks", "keypoints",
            "raw keypoints" (of a data set that was not registered by `register_coco_data`, which
            completes them) or "evaluation".
    """

    kind: str
    severity: Severity
    detectron2: str
    meaning: str
    training: str
    evaluation: str = SAME
    needs: str = ""

    def stops(self, uses: frozenset[str]) -> bool:
        """Whether a training that uses these parts of the data must not start."""
        return self.severity != "harmless" and (not self.needs or self.needs in uses)


_STOP = "stops; nothing can be left out"
_DROP_IMAGE = "stops; --allow-bad-data leaves the image out"
_READ_SKIP = f"{_DROP_IMAGE}; met later, another image takes its place, up to --max-bad-images"
_DROP = "stops; --allow-bad-data leaves the annotation out"
_UNUSED = "leaves it out, as Detectron2 does"
_AS_IS = "stops; --allow-bad-data goes on: "
_LEFT_OUT = "leaves it out, and says so"
_READ_STOP = f"{_DROP_IMAGE}; met later, ends with its name"

_ROWS: tuple[tuple[str, ...], ...] = (
    ("file_absent", "crash", "raises", "there is no such annotation file", _STOP),
    ("file_empty", "crash", "raises", "the annotation file has no bytes", _STOP),
    ("not_json", "crash", "raises", "not json, or cut off", _STOP),
    ("not_utf8", "crash", "raises", "the json is not UTF-8, or begins with a BOM", _STOP),
    ("other_format", "crash", "raises", "another format, which is named", _STOP),
    ("no_section", "crash", "raises", "no list images or categories, or annotations that are no list", _STOP),
    ("no_images", "crash", "raises", "the list of images is empty", _STOP),
    ("no_categories", "crash", "raises", "the list of categories is empty", _STOP),
    ("nothing_to_learn", "crash", "raises", "no annotation but crowds, or none of a listed image, in training data", _STOP, "has no metrics, or nan"),
    ("category_malformed", "crash", "raises", "a category without a number as id or without a name", _STOP),
    ("category_id_duplicate", "corrupt", "keeps", "two categories have one id: the last one's name is used", _STOP),
    ("category_name_duplicate", "harmless", "keeps", "two categories have one name: they are two classes", "trains both", "evaluates both"),
    ("category_unused", "harmless", "keeps", "no annotation has this category", "trains the others", "leaves it out of the mean"),
    # images: records
    ("image_malformed", "crash", "raises", "an image without id, file_name, height or width", _DROP_IMAGE),
    ("image_side_invalid", "crash", "raises", "height or width is not a whole number above 0", _DROP_IMAGE),
    ("image_id_type", "crash", "raises", "an image's id is not a whole number", _DROP_IMAGE),
    ("image_id_duplicate", "corrupt", "keeps", "two images have one id: one takes the annotations of both", "stops; --allow-bad-data leaves all of them out"),
    ("image_name_duplicate", "corrupt", "keeps", "two images have one file: what one has labelled is background in the other", "stops; --allow-bad-data leaves the later ones out"),
    ("image_name_outside", "corrupt", "keeps", "file_name leads out of the image folder (.. or an absolute path)", _DROP_IMAGE),
    ("image_name_separator", "crash", "raises", "file_name has Windows' separators (\\) or control characters", _DROP_IMAGE),
    ("image_without_objects", "harmless", "drops", "no annotation, or only crowds", "leaves it out unless DATALOADER.FILTER_EMPTY_ANNOTATIONS is False", "counts what is detected in it as false"),
    # images: files
    ("image_absent", "crash", "raises", "the image file is not there", _READ_SKIP, _READ_STOP),
    ("image_name_variant", "crash", "raises", "the file is there in other case or another Unicode form", _READ_SKIP, _READ_STOP),
    ("image_zero_bytes", "crash", "raises", "the image file has no bytes", _READ_SKIP, _READ_STOP),
    ("image_unreadable", "crash", "raises", "the file is no image that Pillow reads", _READ_SKIP, _READ_STOP),
    ("image_truncated", "crash", "raises", "the image's data ends early", _READ_SKIP, _READ_STOP),
    ("image_damaged", "corrupt", "keeps", "a PNG's data is damaged: what follows is black or noise, and no error is raised", _DROP_IMAGE),
    ("image_too_large", "crash", "raises", "so many pixels that Pillow refuses it", _READ_SKIP, _READ_STOP),
    ("image_size_wrong", "crash", "raises", "height and width are not the file's", _READ_SKIP, _READ_STOP),
    ("image_exif_wrong", "crash", "raises", "EXIF turns the image, height and width are those before", _READ_SKIP, _READ_STOP),
    ("image_exif_turned", "harmless", "keeps", "EXIF turns the image, and the size fits", "turns it; boxes must be those of the turned image"),
    ("image_16_bit", "corrupt", "keeps", "16 or 32 bits a channel: all above 255 becomes white", "stops; convert it to 8 bits; --allow-bad-data leaves the image out"),
    # annotations
    ("annotation_malformed", "crash", "raises", "an annotation without id, image_id, category_id or bbox", _DROP),
    ("annotation_id_duplicate", "crash", "raises", "two annotations have one id", "stops; --allow-bad-data gives the later ones new ids"),
    ("annotation_id_zero", "corrupt", "keeps", "an annotation's id is 0: the evaluation takes what matches it for a false positive", "stops; --allow-bad-data gives it a new id", SAME, "evaluation"),
    ("annotation_image_unknown", "harmless", "drops", "image_id is that of no image", _UNUSED),
    ("annotation_image_type", "corrupt", "drops", "image_id is a text: it is that of no image", _DROP),
    ("annotation_category_unknown", "crash", "raises", "category_id is that of no category", _DROP),
    ("annotation_duplicate", "harmless", "keeps", "image, category and box are those of an earlier annotation", "trains with it", "counts both, as COCO does: one is missed"),
    ("iscrowd_invalid", "corrupt", "drops", "iscrowd is neither 0 nor 1: the object is taken for a crowd", _DROP),
    ("ignore_set", "crash", "raises", 'there is an "ignore" that is not 0, which Detectron2 refuses', _DROP),
    ("area_absent", "harmless", "keeps", "no area", "does not use it", "takes the object's own"),
    ("area_wrong", "harmless", "keeps", "area is not a number, is 0 or less, below a pixel, or above the box's by a tenth", "does not use it", "takes the object's own, and says so"),
    # boxes
    ("box_malformed", "crash", "raises", "bbox is not four numbers", _DROP),
    ("box_not_finite", "corrupt", "drops", "bbox has a NaN or an infinity", _DROP),
    ("box_negative", "corrupt", "keeps", "width or height is negative: augmentation turns the box over", _DROP),
    ("box_zero", "harmless", "drops", "width or height is 0", _UNUSED, _LEFT_OUT),
    ("boxes_without_size", "corrupt", "drops", "no box has a width and a height: there is nothing to learn, or to find", _STOP),
    ("box_outside", "harmless", "drops", "the box lies outside the image", _UNUSED, _LEFT_OUT),
    ("box_over_edge", "harmless", "keeps", "the box reaches over the image's edge by more than a pixel", "clips it", "clips it, and says so"),
    ("boxes_xyxy", "corrupt", "keeps", "the boxes are corners (x, y, x, y), not (x, y, width, height)", _AS_IS + "nothing is corrected"),
    ("boxes_relative", "corrupt", "keeps", "the boxes are shares of the image, not pixels", _AS_IS + "nothing is corrected"),
    # segmentations
    ("segmentation_absent", "crash", "raises", "this object has no segmentation, others have", _DROP, SAME, "masks"),
    ("segmentation_malformed", "crash", "raises", "segmentation is neither a list of polygons (lists of numbers) nor an RLE", _DROP),
    ("polygon_not_finite", "corrupt", "keeps", "a polygon has a NaN or an infinity", _DROP, SAME, "masks"),
    ("polygon_short", "harmless", "drops", "a polygon has fewer than 3 points, or an odd number of coordinates", "leaves the polygon out, and the object if it has no other", "the same, and says so"),
    ("polygon_off_box", "corrupt", "keeps", "polygons and box have nothing in common", _DROP, SAME, "masks"),
    ("rle_size_wrong", "crash", "raises", "the RLE's size is not the image's", _DROP, SAME, "masks"),
    ("rle_corrupt", "crash", "raises", "the RLE does not decode to as many pixels as its size says", _DROP),
    ("rle_short", "corrupt", "keeps", "the RLE ends early: the rest of the mask is whatever the memory holds", _DROP, SAME, "masks"),
    ("rle_blank", "harmless", "drops", "the RLE has no pixel", _UNUSED, "leaves it out of a model with masks, and says so"),
    ("rle_as_polygon", "harmless", "raises", "the mask is an RLE, which INPUT.MASK_FORMAT polygon cannot hold", "trains all masks as bitmaps, and says so", "reads both"),
    # keypoints
    ("keypoints_absent", "crash", "raises", "this object has no keypoints, others in its image have", _DROP, "takes them as not labelled", "raw keypoints"),
    ("keypoints_malformed", "crash", "raises", "keypoints is not a list of numbers", _DROP),
    ("keypoints_count", "crash", "raises", "not three numbers for each keypoint of the category", _DROP, SAME, "keypoints"),
    ("keypoint_not_finite", "corrupt", "keeps", "a labelled keypoint has a NaN or an infinity", _DROP, SAME, "keypoints"),
    ("keypoint_flag", "corrupt", "keeps", "a visibility is not 0, 1 or 2; a confidence perhaps", _DROP, SAME, "keypoints"),
    ("keypoint_at_origin", "corrupt", "keeps", "a labelled keypoint is at (0, 0)", _DROP, SAME, "keypoints"),
    ("keypoint_outside", "harmless", "keeps", "a labelled keypoint lies outside the image", "takes it as not labelled", "the same, and says so"),
    ("num_keypoints_wrong", "corrupt", "keeps", "num_keypoints is not the number of labelled ones: the evaluation goes by it", "stops; --allow-bad-data corrects it", SAME, "keypoints"),
    # training and test data together
    ("splits_share_images", "corrupt", "keeps", "training and test data have images in common", _AS_IS + "the evaluation is too good", "with --eval-only it is not looked for"),
    ("splits_differ_in_classes", "corrupt", "keeps", "training and test data have other categories", _AS_IS + "classes are confused", "with --eval-only it is not looked for"),
)  # fmt: skip
ISSUE_TYPES = {row[0]: IssueType(*row) for row in _ROWS}  # type: ignore[arg-type]


def issue_table() -> str:
    """Return all issue types as a Markdown table."""
    lines = [
        "| kind | severity | Detectron2 alone | what it is | training here | evaluation here |",
        "|---|---|---|---|---|---|",
    ]
    for issue in ISSUE_TYPES.values():
        matters = f" (with {issue.needs})" if issue.needs else ""
        cells = [f"`{issue.kind}`", f"{issue.severity}{matters}", issue.detectron2]
        cells += [issue.meaning, issue.training, issue.evaluation]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
