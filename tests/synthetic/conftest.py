"""One small drawn data set for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nonlocal_det.synthetic.mini_coco import make_mini_coco
from nonlocal_det.synthetic.register import register_mini_coco

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
