"""The benchmark of the video models: its own cases run, on a drawn file."""

import math

import pytest
import torch
import video
from video import READERS, ReadCase, StepCase, draw_file, main, measure_read, measure_step


def test_a_step_is_measured():
    result = measure_step(StepCase("c2d", threads=torch.get_num_threads()), seconds=0.01)
    assert result.seconds > 0
    assert math.isfinite(result.mebibytes)


def test_ten_views_are_measured(monkeypatch):
    monkeypatch.setattr(video, "SIDE", 32)
    assert video.measure_views(video.ViewsCase(0, torch.get_num_threads()), 0.01).seconds > 0


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return draw_file(tmp_path_factory.mktemp("video"), frames=80)


@pytest.mark.parametrize("way", [way for way in READERS if "torchcodec" not in way])
def test_each_way_of_reading_is_measured(path, way):
    assert measure_read(ReadCase(path, way), seconds=0.01).seconds > 0


def test_bad_counts_are_named(capsys):
    with pytest.raises(SystemExit):
        main(["--rounds", "0"])
    assert "--rounds 0" in capsys.readouterr().err
