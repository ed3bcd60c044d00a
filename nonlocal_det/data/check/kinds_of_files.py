"""The rows of `KINDS` that concern the json file, its categories and images, and several files."""

STOP = "stops; nothing can be left out"
DROP_IMAGE = "stops; --allow-bad-data leaves the image out"
READ_SKIP = f"{DROP_IMAGE}; met later, another image takes its place, up to --max-bad-images"

Row = tuple[str, ...]

# name, severity, what Detectron2 does, meaning, what training does, [needs]
FILES: tuple[Row, ...] = (
    ("file_absent", "crash", "raises", "there is no such annotation file", STOP),
    ("file_empty", "crash", "raises", "the annotation file has no bytes", STOP),
    ("not_json", "crash", "raises", "not json, or cut off", STOP),
    ("not_utf8", "crash", "raises", "the json is not UTF-8, or begins with a BOM", STOP),
    ("other_format", "crash", "raises", "another format, which is named", STOP),
    ("no_section", "crash", "raises", "no list images, annotations or categories", STOP),
    ("no_images", "crash", "raises", "the list of images is empty", STOP),
    ("no_categories", "crash", "raises", "the list of categories is empty", STOP),
    ("nothing_to_learn", "crash", "raises", "no annotation but crowds, in training data", STOP),
)  # fmt: skip

CATEGORIES: tuple[Row, ...] = (
    ("category_malformed", "crash", "raises", "a category without a number as id or without a name", STOP),
    ("category_id_duplicate", "corrupt", "keeps", "two categories have one id: the last one's name is used", STOP),
    ("category_name_duplicate", "harmless", "keeps", "two categories have one name: they are two classes", "trains both"),
    ("category_ids_gap", "harmless", "keeps", "the ids are not 1, 2, 3 ...", "numbers the classes by sorted id, as Detectron2 does"),
    ("category_unused", "harmless", "keeps", "no annotation has this category", "trains the others"),
)  # fmt: skip

IMAGES: tuple[Row, ...] = (
    ("image_malformed", "crash", "raises", "an image without id, file_name, height or width", DROP_IMAGE),
    ("image_side_invalid", "crash", "raises", "height or width is not a whole number above 0", DROP_IMAGE),
    ("image_id_type", "crash", "raises", "an image's id is not a whole number", DROP_IMAGE),
    ("image_id_duplicate", "corrupt", "keeps", "two images have one id: one takes the annotations of both", "stops; --allow-bad-data leaves all of them out"),
    ("image_name_duplicate", "corrupt", "keeps", "two images have one file: what one has labelled is background in the other", "stops; --allow-bad-data leaves the later ones out"),
    ("image_name_outside", "corrupt", "keeps", "file_name leads out of the image folder (.. or an absolute path)", DROP_IMAGE),
    ("image_name_separator", "crash", "raises", "file_name has Windows' separators (\\) or control characters", DROP_IMAGE),
    ("image_name_not_ascii", "harmless", "keeps", "file_name has letters beyond ASCII", "reads it; such names get lost when data is copied between systems"),
    ("image_without_objects", "harmless", "drops", "no annotation", "leaves it out unless DATALOADER.FILTER_EMPTY_ANNOTATIONS is False"),
    ("image_with_crowds_only", "harmless", "drops", "all its annotations are crowds", "as an image without objects"),
)  # fmt: skip

IMAGE_FILES: tuple[Row, ...] = (
    ("image_absent", "crash", "raises", "the image file is not there", READ_SKIP),
    ("image_name_variant", "crash", "raises", "the file is there in other case or another Unicode form", READ_SKIP),
    ("image_zero_bytes", "crash", "raises", "the image file has no bytes", READ_SKIP),
    ("image_unreadable", "crash", "raises", "the file is no image that Pillow reads", READ_SKIP),
    ("image_truncated", "crash", "raises", "the image's data ends early", READ_SKIP),
    ("image_damaged", "corrupt", "keeps", "a PNG's data is damaged: what follows is black or noise, and no error is raised", DROP_IMAGE),
    ("image_too_large", "crash", "raises", "so many pixels that Pillow refuses it", READ_SKIP),
    ("image_size_wrong", "crash", "raises", "height and width are not the file's", READ_SKIP),
    ("image_exif_wrong", "crash", "raises", "EXIF turns the image, height and width are those before", READ_SKIP),
    ("image_exif_turned", "harmless", "keeps", "EXIF turns the image, and the size fits", "turns it; boxes must be those of the turned image"),
    ("image_16_bit", "corrupt", "keeps", "16 or 32 bits a channel: all above 255 becomes white", "stops; convert it to 8 bits; --allow-bad-data leaves the image out"),
    ("image_cmyk", "harmless", "keeps", "CMYK", "converts it to RGB"),
    ("image_grey", "harmless", "keeps", "grey or black and white", "converts it to RGB"),
    ("image_alpha", "harmless", "keeps", "transparency or a palette", "drops the transparency: what lies under it is seen"),
    ("image_animated", "harmless", "keeps", "several frames", "reads the first"),
    ("image_extension_lies", "harmless", "keeps", "not the format that its name says", "reads it by its content"),
)  # fmt: skip

SPLITS: tuple[Row, ...] = (
    ("splits_share_images", "corrupt", "keeps", "training and test data have images in common", "stops; --allow-bad-data goes on: the evaluation is too good"),
    ("splits_differ_in_classes", "corrupt", "keeps", "training and test data have other categories", "stops; --allow-bad-data goes on: classes are confused"),
)  # fmt: skip
