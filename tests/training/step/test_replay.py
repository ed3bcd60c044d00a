"""A batch that went wrong is run again from its file: by another process, with safe loading."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.structures import (
    BitMasks,
    Boxes,
    Instances,
    Keypoints,
    PolygonMasks,
    RotatedBoxes,
)
from tiny_step import Run, images
from tiny_training import run

from nonlocal_det.checkpoint import read_torch, write_checkpoint
from nonlocal_det.training import Trainer
from nonlocal_det.training.step import NonFiniteError, describe_replay, replay
from nonlocal_det.training.step.saved_batch import read_batch, save_batch

ROOT = Path(__file__).parents[3]


@pytest.fixture
def failed(mini_coco, tmp_path, monkeypatch):
    """A real training whose block is made to overflow before its second step."""

    class Overflowing(Trainer):
        def run_step(self):
            if self.iter == 1:
                block = self.model.backbone.bottom_up.res4.nl0
                block.g.weight.data.fill_(3e38)
            super().run_step()

    monkeypatch.setattr("nonlocal_det.training.train.Trainer", Overflowing)
    with pytest.raises(NonFiniteError) as stop:
        run(tmp_path, iterations=3)
    return tmp_path, str(stop.value)


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["replay_batch.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "tools" / "replay_batch.py"), run_name="__main__")
    return stop.value.code


def test_a_training_that_overflows_is_explained_and_can_be_replayed(failed, monkeypatch, capsys):
    folder, said = failed
    assert "iteration 1: " in said
    assert "first in backbone.bottom_up.res4.nl0.g (Conv2d): its output has" in said
    path = folder / "nonfinite" / "batch_0000001_process0.pth"
    result = replay(path)
    assert result.diagnosis is not None
    assert "res4.nl0.g (Conv2d)" in result.diagnosis.where
    assert [Path(name).suffix for name in result.images] == [".png", ".png"]
    assert f"images: {', '.join(result.images)}, each of them alone" in said
    assert result.saved.iteration == 1
    assert "MODEL" in result.saved.config

    capsys.readouterr()
    assert run_tool(monkeypatch, str(path)) == 3
    assert capsys.readouterr().out.strip() == describe_replay(result)

    weights = folder / "nonfinite" / "weights_0000001.pth"
    content = read_torch(weights)
    content["model"]["backbone.bottom_up.res4.nl0.g.weight"].zero_()
    write_checkpoint(weights, content)
    mended = replay(path)
    assert mended.diagnosis is None
    assert run_tool(monkeypatch, str(path)) == 0
    assert describe_replay(mended).endswith("now: everything is finite")
    assert mended.losses["loss_rpn_cls"] > 0

    weights.unlink()
    with pytest.raises(FileNotFoundError, match="weights_0000001.pth is not there"):
        replay(path)
    assert "error: " in run_tool(monkeypatch, str(path))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nonfinite"):
        replay(tmp_path / "none.pth")
    write_checkpoint(tmp_path / "model.pth", {"model": {}})
    with pytest.raises(ValueError, match="is not a 'nonlocal_det batch"):
        replay(tmp_path / "model.pth")


@pytest.fixture
def saved(tmp_path_factory):
    """Makes what a step that failed saves, with another batch."""
    folder = tmp_path_factory.mktemp("failed")
    with pytest.raises(NonFiniteError):
        Run(folder, [[{**images(1)[0], "image": torch.full((3, 6, 6), torch.nan)}]]).steps(1)
    real = read_batch(folder / "nonfinite" / "batch_0000000_process0.pth")
    return lambda batch: replace(real, batch=batch)


def test_a_batch_comes_back_with_detectron2s_structures(saved, tmp_path):
    polygons = [[np.array([0.0, 1.0, 5.0, 1.0, 5.0, 6.0])], [np.arange(6.0), np.arange(8.0)]]
    fields = {
        "gt_boxes": Boxes(torch.rand(2, 4)),
        "gt_rotated": RotatedBoxes(torch.rand(2, 5)),
        "gt_masks": PolygonMasks(polygons),
        "gt_bits": BitMasks(torch.rand(2, 6, 7) > 0.5),
        "gt_keypoints": Keypoints(torch.rand(2, 17, 3)),
        "gt_classes": torch.tensor([1, 2]),
    }
    entry = {
        "image": torch.randint(256, (3, 6, 7), dtype=torch.uint8),
        "instances": Instances((6, 7), **fields),
        "sem_seg": np.arange(4, dtype=np.int32),
        "file_name": "a.png",
        "image_id": np.int64(3),
        "size": (6, 7),
        "nothing": None,
    }
    save_batch(tmp_path / "folder" / "batch.pth", saved([entry]))
    (back,) = read_batch(tmp_path / "folder" / "batch.pth").batch
    assert torch.equal(back["image"], entry["image"])
    assert (back["file_name"], back["image_id"], back["size"]) == ("a.png", 3, (6, 7))
    assert back["sem_seg"].dtype == np.int32
    assert back["sem_seg"].tolist() == [0, 1, 2, 3]
    instances = back["instances"]
    assert instances.image_size == (6, 7)
    for name in ("gt_boxes", "gt_rotated", "gt_bits", "gt_keypoints"):
        assert type(instances.get(name)) is type(fields[name])
        assert torch.equal(instances.get(name).tensor, fields[name].tensor)
    assert torch.equal(instances.gt_classes, fields["gt_classes"])
    for mask, expected in zip(instances.gt_masks.polygons, polygons, strict=True):
        assert [ring.tolist() for ring in mask] == [ring.tolist() for ring in expected]


class Hostile:
    """Would create a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("value", [Path("a.png"), object(), lambda: None])
def test_a_batch_with_other_objects_is_refused_and_not_written(saved, tmp_path, value):
    with pytest.raises(ValueError, match="Path|object|lambda"):
        save_batch(tmp_path / "batch.pth", saved([{"value": value}]))
    assert not list(tmp_path.iterdir())


def test_a_file_that_would_run_code_is_refused(saved, tmp_path):
    path = tmp_path / "batch.pth"
    torch.save(vars(saved([{"image": Hostile(tmp_path / "made")}])), path)
    with pytest.raises(ValueError, match="batch.pth cannot be read as data"):
        replay(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="batch.pth cannot be read as data"):
        replay(path)
    assert not (tmp_path / "made").exists()
