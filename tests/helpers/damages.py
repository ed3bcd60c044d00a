"""A way to damage the drawn data set for each kind of problem that one json and its images have."""

import json
from typing import Any

import numpy as np
from good_data import HEIGHT, WIDTH, Damage, GoodData
from PIL import Image
from pycocotools.mask import frPyObjects

PIXELS = HEIGHT * WIDTH


def one(**changes: Any) -> Damage:
    """Changes an annotation; None removes the entry."""
    return lambda data: _change(data.one, changes)


def image(**changes: Any) -> Damage:
    """Changes an image's record."""
    return lambda data: _change(data.image, changes)


def _change(record: dict[str, Any], changes: dict[str, Any]) -> None:
    record.update(changes)
    for key in [key for key, value in changes.items() if value is None]:
        del record[key]


def rle(counts: Any, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Damage:
    return one(segmentation={"size": list(size), "counts": counts})


def point(*values: float) -> Damage:
    """Replaces the first keypoint."""

    def damage(data: GoodData) -> None:
        data.one["keypoints"][:3] = values
        data.one["num_keypoints"] = sum(v > 0 for v in data.one["keypoints"][2::3])

    return damage


def category(**changes: Any) -> Damage:
    """Changes the second category."""
    return lambda data: _change(data.content["categories"][1], changes)


def content(**changes: Any) -> Damage:
    return lambda data: _change(data.content, changes)


def boxes(change: Any) -> Damage:
    def damage(data: GoodData) -> None:
        for annotation in data.content["annotations"]:
            annotation["bbox"] = change(*annotation["bbox"])

    return damage


def duplicate(section: str, **changes: Any) -> Damage:
    """Appends the second record once more."""
    return lambda data: data.content[section].append({**data.content[section][1], **changes})


def replaced(text: bytes | None) -> Damage:
    """Another annotation file, or none; what the json says is lost."""
    return lambda data: setattr(data, "content", text)


def image_bytes(change: Any) -> Damage:
    return lambda data: data.path.write_bytes(change(data.path.read_bytes())) and None


def saved(name: str, mode: str = "RGB", **options: Any) -> Damage:
    return lambda data: data.save_as(name, data.draw(9, mode), **options)


def turned(orientation: int, sideways: bool) -> Damage:
    """A JPEG that EXIF turns; its record has the size before the turn or, sideways, after."""

    def damage(data: GoodData) -> None:
        exif = Image.Exif()
        exif[274] = orientation
        picture = data.draw(9).resize((HEIGHT, WIDTH)) if sideways else data.draw(9)
        data.save_as("turned.jpg", picture, exif=exif)

    return damage


def sixteen_bits(data: GoodData) -> None:
    data.save_as("deep.png", Image.fromarray(np.full((HEIGHT, WIDTH), 1000, np.uint16)))


def huge(data: GoodData) -> None:
    """A PNG whose header says 100 000 x 100 000."""
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    head = data.path.read_bytes()[:8] + struct.pack(">I", 13) + chunk
    rest = data.path.read_bytes()[33:]
    data.path.write_bytes(head + struct.pack(">I", zlib.crc32(chunk)) + rest)


def outside(data: GoodData) -> None:
    data.draw(9).save(data.root.parent / "out.png")
    data.image["file_name"] = "../out.png"


def no_crowd(data: GoodData) -> None:
    for annotation in data.content["annotations"]:
        annotation["iscrowd"] = 1
        annotation["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [0, 10, PIXELS - 10]}


def of_image(number: int, crowds: bool) -> Damage:
    """Leaves an image without annotations, or with crowds only."""

    def damage(data: GoodData) -> None:
        for annotation in [*data.content["annotations"]]:
            if annotation["image_id"] != number:
                continue
            if not crowds:
                data.content["annotations"].remove(annotation)
            annotation["iscrowd"] = 1
            annotation["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [0, 10, PIXELS - 10]}

    return damage


def other_accent(data: GoodData) -> None:
    """The file's name has an e and an accent, the json one letter for both."""
    saved("e\u0301.png")(data)
    data.image["file_name"] = "\u00e9.png"


def second_file(data: GoodData) -> None:
    """The third image has the second's file."""
    data.content["images"][2]["file_name"] = "2.png"


def keypoints_list(*values: Any) -> Damage:
    return one(keypoints=list(values))


VOC = b"<annotation><folder>x</folder></annotation>"
SQUARE = [[23, 11, 35, 11, 35, 25, 23, 25]]  # what the object has

TOO_LONG = frPyObjects({"size": [HEIGHT, WIDTH], "counts": [10, PIXELS]}, HEIGHT, WIDTH)[
    "counts"
].decode()

# kind, damage, other kinds that the damage brings about
DAMAGES: list[tuple[str, Damage, set[str]]] = [
    ("file_absent", replaced(None), set()),
    ("file_empty", replaced(b" \n"), set()),
    ("not_json", lambda d: setattr(d, "content", json.dumps(d.content).encode()[:500]), set()),
    ("not_utf8", replaced(b'{"images": "\xe9"}'), set()),
    ("not_utf8", lambda d: setattr(d, "content", json.dumps(d.content).encode("utf-8-sig")), set()),
    ("other_format", replaced(VOC), set()),
    ("no_section", content(annotations={}), set()),
    ("nothing_to_learn", content(annotations=None), {"image_without_objects", "category_unused"}),
    ("no_section", content(images={}), set()),
    ("no_images", content(images=[]), set()),
    ("no_categories", content(categories=[]), set()),
    ("nothing_to_learn", content(annotations=[]), {"image_without_objects", "category_unused"}),
    ("nothing_to_learn", no_crowd, {"image_without_objects"}),
    ("category_malformed", category(name=None), {"annotation_category_unknown"}),
    ("category_malformed", category(name=0.5), {"annotation_category_unknown"}),
    ("category_id_duplicate", duplicate("categories", name="c"), set()),
    ("category_name_duplicate", category(name="a"), set()),
    ("category_unused", duplicate("categories", id=3, name="c"), set()),
    ("image_malformed", image(file_name=None), set()),
    ("image_malformed", image(height=None), set()),
    ("image_side_invalid", image(width="64"), set()),
    ("image_side_invalid", image(width=0), set()),
    ("image_id_type", image(id="two"), {"annotation_image_unknown"}),
    ("image_id_duplicate", duplicate("images", file_name="3.png"),
     {"image_name_duplicate"}),
    ("image_name_duplicate", second_file, set()),
    ("image_name_outside", outside, set()),
    ("image_name_separator", image(file_name="images\\2.png"), set()),
    ("image_without_objects", of_image(2, False), set()),
    ("image_without_objects", of_image(2, True), set()),
    ("image_absent", image(file_name="nowhere.png"), set()),
    ("image_name_variant", image(file_name="2.PNG"), set()),
    ("image_name_variant", other_accent, set()),
    ("image_zero_bytes", image_bytes(lambda b: b""), set()),
    ("image_unreadable", image_bytes(lambda b: b"not an image"), set()),
    ("image_truncated", image_bytes(lambda b: b[:-500]), set()),
    ("image_truncated", lambda d: (saved("2.jpg")(d), (d.root / "2.jpg").write_bytes(
        (d.root / "2.jpg").read_bytes()[:-400])), set()),
    ("image_damaged", image_bytes(lambda b: b[:200] + b"\0" * 40 + b[240:]), set()),
    ("image_too_large", huge, set()),
    ("image_size_wrong", image(width=WIDTH + 1), set()),
    ("image_exif_wrong", turned(6, sideways=False), set()),
    ("image_exif_turned", turned(6, sideways=True), set()),
    ("image_exif_turned", turned(3, sideways=False), set()),
    ("image_16_bit", sixteen_bits, set()),
    ("annotation_malformed", one(image_id=None), set()),
    ("annotation_malformed", one(bbox=None), set()),
    ("annotation_id_duplicate", one(id=3), set()),
    ("annotation_id_zero", one(id=0), set()),
    ("annotation_image_unknown", one(image_id=77), set()),
    ("annotation_image_type", one(image_id="1"), set()),
    ("annotation_category_unknown", one(category_id=9), set()),
    ("annotation_duplicate", duplicate("annotations", id=50), set()),
    ("iscrowd_invalid", one(iscrowd=2), set()),
    ("ignore_set", one(ignore=1), set()),
    ("area_absent", one(area=None), set()),
    ("area_wrong", one(area=-4), set()),
    ("area_wrong", one(area=0), set()),
    ("area_wrong", one(area=0.02), set()),  # a share of the image
    ("area_wrong", one(area=12 * 14 * 2), set()),
    ("box_malformed", one(bbox=[]), set()),
    ("box_malformed", one(bbox=[23, 11, 12]), set()),
    ("box_malformed", one(bbox=["23", 11, 12, 14]), set()),
    ("box_not_finite", one(bbox=[float("nan"), 11, 12, 14]), set()),
    ("box_negative", one(bbox=[35, 11, -12, 14]), set()),
    ("box_zero", one(bbox=[23, 11, 0, 14], area=0), set()),
    ("boxes_without_size", boxes(lambda x, y, w, h: [0, 0, 0, 0]),
     {"box_zero", "annotation_duplicate"}),
    ("box_outside", one(bbox=[80, 11, 12, 14]), {"polygon_off_box"}),
    ("box_outside", one(bbox=[80, 11, 12, 14],
                        segmentation=[[80, 11, 92, 11, 92, 25, 80, 25]]), set()),
    ("box_over_edge", one(bbox=[23, 11, 60, 14]), set()),
    ("boxes_xyxy", boxes(lambda x, y, w, h: [x, y, x + w, y + h]), set()),
    ("boxes_relative", boxes(lambda x, y, w, h: [x / 64, y / 48, w / 64, h / 48]),
     set()),
    ("segmentation_absent", one(segmentation=None), set()),
    ("segmentation_malformed", one(segmentation=5), set()),
    ("segmentation_malformed", one(segmentation={"counts": [PIXELS]}), set()),
    ("segmentation_malformed", one(segmentation=SQUARE[0]), set()),
    ("segmentation_malformed", one(segmentation=[["x", *SQUARE[0][1:]]]), set()),
    ("polygon_not_finite", one(segmentation=[[float("nan"), *SQUARE[0][1:]]]), set()),
    ("polygon_short", one(segmentation=[[23, 11, 35, 25]]), set()),
    ("polygon_short", one(segmentation=[SQUARE[0][:7]]), set()),
    ("polygon_off_box", one(segmentation=[[50, 40, 60, 40, 60, 47]]), set()),
    ("rle_size_wrong", rle([0, 40, PIXELS - 40], (WIDTH, HEIGHT)), {"rle_as_polygon"}),
    ("rle_corrupt", rle([0, PIXELS + 40]), {"rle_as_polygon"}),
    ("rle_corrupt", rle(TOO_LONG), {"rle_as_polygon"}),
    ("rle_short", rle([10, 40]), {"rle_as_polygon"}),
    ("rle_short", rle(""), {"rle_as_polygon"}),
    ("rle_blank", rle([PIXELS]), {"rle_as_polygon"}),
    ("rle_as_polygon", rle([10, 40, PIXELS - 50]), set()),
    ("keypoints_absent", one(keypoints=None), set()),
    ("keypoints_malformed", one(keypoints="none"), set()),
    ("keypoints_malformed", keypoints_list(24, 13, 2, 30, None, 1, 0, 0, 0), set()),
    ("keypoints_count", keypoints_list(24, 13, 2, 30, 14, 1), set()),
    ("keypoints_count", keypoints_list(24, 13, 2, 30, 14), set()),
    ("keypoint_not_finite", point(float("nan"), 13, 2), set()),
    ("keypoint_flag", point(24, 13, 0.8), set()),
    ("keypoint_flag", point(24, 13, 3), set()),
    ("keypoint_at_origin", point(0, 0, 2), set()),
    ("keypoint_outside", point(90, 13, 2), set()),
    ("num_keypoints_wrong", one(num_keypoints=17), set()),
]  # fmt: skip
