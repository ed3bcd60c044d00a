"""A drawn data set of a few images under the names of the quick configs."""

import logging

import pytest

from nonlocal_det.data import make_mini_coco, register_mini_coco


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
