"""The four names load through Detectron2's own loaders, and may be pointed elsewhere."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import (
    annotations_to_instances,
    create_keypoint_hflip_indices,
    transform_instance_annotations,
)
from detectron2.data.transforms import HFlipTransform

from nonlocal_det.synthetic.register import register_mini_coco


@pytest.mark.parametrize(("split", "count"), [("train", 16), ("val", 8)])
def test_all_categories_and_people_load_with_contiguous_classes(
    registered: Path, split: str, count: int
) -> None:
    records = DatasetCatalog.get(f"mini_coco_{split}")
    metadata = MetadataCatalog.get(f"mini_coco_{split}")
    assert len(records) == count
    assert all(Path(record["file_name"]).is_file() for record in records)
    assert metadata.thing_classes == ["person", "circle", "square", "triangle", "star"]
    assert metadata.evaluator_type == "coco"
    classes = {a["category_id"] for record in records for a in record["annotations"]}
    assert {0} < classes <= {0, 1, 2, 3, 4}
    people = f"mini_coco_keypoints_{split}"
    assert MetadataCatalog.get(people).thing_classes == ["person"]
    annotations = [a for record in DatasetCatalog.get(people) for a in record["annotations"]]
    assert {a["category_id"] for a in annotations} == {0}
    assert {len(a["keypoints"]) for a in annotations} == {51}


def test_a_flip_keeps_left_on_the_side_where_a_viewer_sees_it(registered: Path) -> None:
    name = "mini_coco_keypoints_train"
    indices = create_keypoint_hflip_indices([name])
    names = list(MetadataCatalog.get(name).keypoint_names)
    left, right = names.index("left_shoulder"), names.index("right_shoulder")
    checked = 0
    for record in DatasetCatalog.get(name):
        size = record["height"], record["width"]
        people = [a for a in record["annotations"] if not a["iscrowd"]]
        flipped = [
            transform_instance_annotations(
                a, [HFlipTransform(record["width"])], size, keypoint_hflip_indices=indices
            )
            for a in people
        ]
        if not flipped:
            continue
        keypoints = annotations_to_instances(flipped, size).gt_keypoints.tensor.numpy()
        both = (keypoints[:, [left, right], 2] > 0).all(1)
        assert np.all(keypoints[both, left, 0] > keypoints[both, right, 0])
        checked += both.sum()
    assert checked > 10


def test_registering_again_points_the_names_to_the_new_root(registered: Path) -> None:
    DatasetCatalog.get("mini_coco_train")  # loading fixes metadata, which must not be in the way
    register_mini_coco(registered.parent)
    register_mini_coco("elsewhere")
    assert MetadataCatalog.get("mini_coco_train").json_file == str(
        Path("elsewhere/mini_coco/annotations/instances_train2017.json")
    )
    with pytest.raises(FileNotFoundError):
        DatasetCatalog.get("mini_coco_train")


def test_importing_registers_under_detectron2_datasets_without_a_file(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['cv2'] = None\n"  # nor does it need OpenCV
        "import nonlocal_det.synthetic\n"
        "from detectron2.data import MetadataCatalog\n"
        "print(MetadataCatalog.get('mini_coco_keypoints_val').image_root)"
    )
    root = str(tmp_path / "absent")
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"DETECTRON2_DATASETS": root, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [f"{root}/mini_coco/val2017"]
