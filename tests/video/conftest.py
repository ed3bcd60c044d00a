"""Drawn clips that the tests of the video models share."""

import pytest

from nonlocal_det.synthetic import make_moving_clips, register_moving_clips


@pytest.fixture(scope="session")
def clips_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    make_moving_clips(root, num_train=16, num_val=8, size=32)
    return root


@pytest.fixture
def moving_clips(clips_root, monkeypatch):
    """The drawn clips under their names, ``moving_clips_{train,val}``."""
    monkeypatch.setenv("DETECTRON2_DATASETS", str(clips_root))
    register_moving_clips()
    yield clips_root
    monkeypatch.undo()
    register_moving_clips()
