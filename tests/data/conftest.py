"""One small drawn data set for all tests of this folder, and a hand-made COCO data set."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nonlocal_det.data import make_mini_coco, register_mini_coco

TRAIN, VAL = 16, 8


@pytest.fixture(scope="session")
def mini_coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder mini_coco of 16 + 8 images; index 4 has a crowd, index 9 is empty."""
    return make_mini_coco(tmp_path_factory.mktemp("datasets"), num_train=TRAIN, num_val=VAL)


@pytest.fixture
def registered(mini_coco: Path) -> Iterator[Path]:
    """The same, with Detectron2's names pointing to it during the test."""
    register_mini_coco(mini_coco.parent)
    yield mini_coco
    register_mini_coco()


@pytest.fixture
def animals() -> dict[str, Any]:
    """A user's json: two cats with three keypoints, one dog without, two images."""
    box = {"bbox": [4, 4, 20, 10], "area": 200, "iscrowd": 0}
    outline = [[4, 4, 24, 4, 24, 14, 4, 14]]
    cat = {"category_id": 7, "segmentation": outline, "keypoints": [5, 6, 2, 9, 6, 1, 0, 0, 0]}
    return {
        "images": [
            {"id": 10, "file_name": "a.png", "height": 32, "width": 40},
            {"id": 11, "file_name": "b.png", "height": 32, "width": 40},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, **box, **cat},
            {"id": 2, "image_id": 10, **box, "category_id": 3, "segmentation": outline},
            {"id": 3, "image_id": 11, **box, **cat},
        ],
        "categories": [
            {
                "id": 7,
                "name": "cat",
                "keypoints": ["left_ear", "right_ear", "tail"],
                "skeleton": [[1, 3]],
                "oks_sigmas": [0.03, 0.03, 0.1],
            },
            {"id": 3, "name": "dog"},
        ],
    }


@pytest.fixture
def write_data(tmp_path: Path) -> Callable[[Any], tuple[Path, Path]]:
    """Writes a json (or plain text) and its images: (json file, image folder)."""

    def write(content: Any) -> tuple[Path, Path]:
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        for name in ("a.png", "b.png"):
            Image.fromarray(np.full((32, 40, 3), 128, np.uint8)).save(folder / name)
        json_file = tmp_path / "animals.json"
        json_file.write_text(content if isinstance(content, str) else json.dumps(content))
        return json_file, folder

    return write
