"""Pictures of the training loader's output appear, show the labels and follow the seed."""

import sys
from pathlib import Path

import numpy as np
import pytest
from detectron2.config import CfgNode, get_cfg
from PIL import Image

from nonlocal_det.visualization import draw_training_images


@pytest.fixture
def cfg(mini_coco: Path) -> CfgNode:
    cfg = get_cfg()
    cfg.DATASETS.TRAIN = ("mini_coco_keypoints_train",)
    cfg.MODEL.MASK_ON = True
    cfg.MODEL.KEYPOINT_ON = True
    cfg.INPUT.MIN_SIZE_TRAIN = (128,)
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.SEED = 3
    cfg.freeze()
    return cfg


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_pictures_appear_and_show_the_labels(cfg: CfgNode, mini_coco: Path, tmp_path: Path) -> None:
    paths = draw_training_images(cfg, tmp_path / "drawn", 3)
    assert paths == sorted((tmp_path / "drawn").iterdir())
    assert len(paths) == 3
    for path in paths:
        drawn = pixels(path)
        assert min(drawn.shape[:2]) >= 511  # enlarged
        source = mini_coco / "mini_coco" / "train2017" / f"{path.stem.split('_')[1]}.png"
        size = drawn.shape[1], drawn.shape[0]
        blank = np.asarray(Image.open(source).resize(size, Image.Resampling.BILINEAR)).astype(int)
        # Keypoints are pure red discs, which neither the image nor its mirror image has.
        reds = [(np.abs(p - [255, 0, 0]).sum(2) < 20).sum() for p in (drawn, blank)]
        assert reds[0] > 500
        assert reds[1] == 0


def test_the_seed_decides_the_pictures(cfg: CfgNode, tmp_path: Path) -> None:
    first = draw_training_images(cfg, tmp_path / "first", 2)
    again = draw_training_images(cfg, tmp_path / "again", 2)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    other = cfg.clone()
    other.defrost()
    other.SEED = 4
    changed = draw_training_images(other, tmp_path / "other", 2)
    assert [path.read_bytes() for path in first] != [path.read_bytes() for path in changed]


def test_nothing_to_draw_is_an_error(cfg: CfgNode, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="num=0"):
        draw_training_images(cfg, tmp_path / "drawn", 0)
    with pytest.raises(ValueError, match="DATASETS.TRAIN is empty"):
        draw_training_images(get_cfg(), tmp_path / "drawn", 1)
    assert not (tmp_path / "drawn").exists()


def test_drawing_without_opencv_says_how_to_get_it(
    cfg: CfgNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="opencv-python-headless"):
        draw_training_images(cfg, tmp_path / "drawn", 1)
