"""Register a user's own COCO-format data without a line of code, from what the json says."""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import register_coco_instances

from .check import check_rows
from .coco_file import read_coco
from .keypoint_schema import KeypointSchema, find_keypoint_schema

logger = logging.getLogger(__name__)

_FILES = "registered_from"
"""The entry of the metadata of what is registered here: json and images, as they were given."""


@dataclass(frozen=True)
class CocoData:
    """What a model's config must know about a data set.

    Attributes:
        name: the key of Detectron2's catalogue.
        class_names: in the order of the model's class indices (sorted by category id).
        keypoint_names: K names; empty when `has_keypoints` is false.
        oks_sigmas: K sigmas; empty when `has_keypoints` is false.
        has_masks: every annotation that is not a crowd has a segmentation.
        has_keypoints: at least one keypoint is labelled.
    """

    name: str
    class_names: tuple[str, ...]
    keypoint_names: tuple[str, ...]
    oks_sigmas: tuple[float, ...]
    has_masks: bool
    has_keypoints: bool


def register_coco_data(
    name: str, json_file: str | os.PathLike[str], image_root: str | os.PathLike[str]
) -> CocoData:
    """Register data in COCO's detection format under `name`.

    Class names, ids, keypoint names, flip map and OKS sigmas come from the json. A category with
    keypoints has COCO's "keypoints" (names) and "skeleton", and may have "flip_map" (a list of
    [left, right] names; by default derived from the names) and "oks_sigmas" (a list of numbers; by
    default COCO's, for COCO's names). Registering the same files again under the same name is fine.

    Args:
        name: the name for `DATASETS.TRAIN` and `DATASETS.TEST`.
        json_file: the annotation file.
        image_root: the folder to which each "file_name" is relative.

    Returns:
        What a config needs to know about the data.

    Raises:
        FileNotFoundError: the file, the folder or the first image is missing.
        ValueError: the name is taken, the json is not what is described above, or a row of it would
            stop Detectron2; names file, image, annotation, field and value.
    """
    json_path, root = Path(json_file).expanduser(), Path(image_root).expanduser()
    files = str(json_path), str(root)
    if name in DatasetCatalog and MetadataCatalog.get(name).get(_FILES, None) != files:
        raise ValueError(f"data set name {name!r} is already registered; choose another name")
    content = _read_usable(json_path, root)
    schema = find_keypoint_schema(content, json_path)
    categories = sorted(content["categories"], key=lambda category: category["id"])
    metadata = {
        "thing_classes": [category["name"] for category in categories],
        "thing_dataset_id_to_contiguous_id": {c["id"]: i for i, c in enumerate(categories)},
        **(schema.metadata() if schema else {}),
        _FILES: files,
    }
    _register(name, metadata, json_path, root)
    return _describe(name, content, metadata["thing_classes"], schema)


def _read_usable(json_path: Path, root: Path) -> dict[str, Any]:
    """Read a json whose rows Detectron2 can read."""
    content = read_coco(json_path)
    if not root.is_dir():
        raise FileNotFoundError(
            f"image folder {root} does not exist; give the folder to which each "
            f'"file_name" in {json_path} is relative'
        )
    for finding in check_rows(json_path, content).stopping(frozenset()):
        if finding.issue.severity == "crash":
            raise ValueError(
                f"{json_path}: {finding.examples[0]} ({finding.kind} x {finding.count}); repair it "
                f"(`python -m nonlocal_det check {json_path} {root}` lists all that is wrong)"
            )
    first = root / content["images"][0]["file_name"]
    if not first.is_file():
        raise FileNotFoundError(
            f"image {first} does not exist, but {json_path} lists it; the image folder must be the "
            'one to which each "file_name" is relative'
        )
    return content


def completes_keypoints(name: str) -> bool:
    """Whether a data set's annotations are completed to have keypoints where the json has none."""
    return MetadataCatalog.get(name).get(_FILES, None) is not None


def replace_json(name: str, json_file: Path) -> None:
    """Give a registered data set another annotation file, with the same images and classes.

    Args:
        name: of a data set registered by `register_coco_instances` or `register_coco_data`.
        json_file: the other file.

    Raises:
        ValueError: it was registered otherwise, so that a function of the user's reads its file.
    """
    metadata = MetadataCatalog.get(name).as_dict()
    if metadata.get("evaluator_type") != "coco":
        raise ValueError(
            f"data set {name!r} is read by a function of yours, which cannot be given another "
            "file; repair its json, or let its function read the copy of "
            "`python -m nonlocal_det check JSON IMAGES --clean COPY`"
        )
    given = ("name", "json_file", "image_root", "evaluator_type")
    others = {key: value for key, value in metadata.items() if key not in given}
    _register(name, others, json_file, metadata["image_root"])


def _register(name: str, metadata: dict[str, Any], json_file: Path, root: Path | str) -> None:
    """Register a json with Detectron2; complete the keypoints of a user's own."""
    forget(name)
    register_coco_instances(name, metadata, str(json_file), str(root))
    if not metadata.keys() >= {_FILES, "keypoint_names"}:
        return
    load, num_keypoints = DatasetCatalog.pop(name), len(metadata["keypoint_names"])

    def load_completed() -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = load()
        fill_keypoints((a for record in records for a in record["annotations"]), num_keypoints)
        return records

    DatasetCatalog.register(name, load_completed)


def fill_keypoints(annotations: Iterable[dict[str, Any]], num_keypoints: int) -> None:
    """Complete annotations in place: unlabelled keypoints where none are, "num_keypoints" in all.

    Detectron2 asks only an image's first annotation whether there are keypoints, and fails when
    another one differs. COCO's evaluation fails where either entry is missing.

    Args:
        annotations: those of a COCO json or of Detectron2.
        num_keypoints: K.
    """
    for annotation in annotations:
        if not any(v > 0 for v in (annotation.get("keypoints") or ())[2::3]):
            annotation["keypoints"] = [0] * (3 * num_keypoints)
        annotation["num_keypoints"] = sum(v > 0 for v in annotation["keypoints"][2::3])


def _describe(
    name: str, content: dict[str, Any], class_names: list[str], schema: KeypointSchema | None
) -> CocoData:
    """Count what the data has; warn of what only some objects have."""
    objects = [a for a in content["annotations"] if not a.get("iscrowd", 0)]
    masks = [a["segmentation"] for a in objects if a.get("segmentation")]
    if 0 < len(masks) < len(objects):
        logger.warning(
            f"{name}: {len(objects) - len(masks)} of {len(objects)} annotations have no "
            '"segmentation", so no masks are trained. Add theirs, or remove these annotations.'
        )
    num_without = sum(not a.get("keypoints") for a in objects)
    if schema and num_without:
        logger.warning(
            f"{name}: {num_without} of {len(objects)} annotations have no keypoints; "
            "theirs count as not labelled (v = 0)."
        )
    if schema:
        moved = {point for pair in schema.flip_map for point in pair}
        stay = ", ".join(point for point in schema.names if point not in moved) or "none"
        logger.info(
            f"{name}: a horizontal flip exchanges {schema.flip_map or 'no keypoints'} and leaves "
            f'{stay} as they are; give the category a "flip_map" if one of these has a side.'
        )
    return CocoData(
        name=name,
        class_names=tuple(class_names),
        keypoint_names=schema.names if schema else (),
        oks_sigmas=schema.oks_sigmas if schema else (),
        has_masks=len(masks) == len(objects) > 0,
        has_keypoints=schema is not None,
    )


def forget(name: str) -> None:
    """Remove a data set's registration, if there is one: Detectron2 refuses to change it."""
    DatasetCatalog.pop(name, None)
    MetadataCatalog.pop(name, None)
