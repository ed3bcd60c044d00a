"""What tests share: a fixed seed, one thread, drawn data, a user's json, the logged messages."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from good_data import GoodData
from PIL import Image

from nonlocal_det.data.coco_data import forget
from nonlocal_det.layers import insertion
from nonlocal_det.synthetic.mini_coco import make_mini_coco
from nonlocal_det.synthetic.register import register_mini_coco

torch.set_num_threads(1)
SLOW_TIMEOUT = 3600
"""Seconds that a slow test may take; pyproject.toml has the limit of the others."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)
    insertion._states.clear()  # of the process: no test's weights depend on those before it


@pytest.fixture(scope="session")
def datasets(tmp_path_factory):
    root = tmp_path_factory.mktemp("datasets")
    make_mini_coco(root, num_train=8, num_val=4, size=64)
    return root


@pytest.fixture
def mini_coco(datasets, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(datasets))
    register_mini_coco()
    yield datasets
    monkeypatch.undo()
    register_mini_coco()


@pytest.fixture
def messages(caplog, monkeypatch):
    """What the project logs, each once, whether or not its own logger still propagates."""
    monkeypatch.setattr(logging.getLogger("nonlocal_det"), "propagate", False)
    logging.getLogger("nonlocal_det").addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    yield lambda: [record.getMessage() for record in caplog.records]
    logging.getLogger("nonlocal_det").removeHandler(caplog.handler)


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


@pytest.fixture
def good(tmp_path: Path) -> Iterator[GoodData]:
    yield GoodData(tmp_path / "data")
    forget("damaged")
