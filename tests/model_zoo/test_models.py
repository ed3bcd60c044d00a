"""``model_zoo.get``: a model by name, with the right weights or an error that helps."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from nonlocal_det import model_zoo
from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.model_zoo import models

NL = "quick/nl_mask_keypoint_rcnn_R18"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A trained model's file, and one of its tensors."""
    torch.manual_seed(7)
    state = model_zoo.get(NL, device="cpu").state_dict()
    path = tmp_path_factory.mktemp("weights") / "nl.pth"
    torch.save({"model": state, "iteration": 400}, path)
    return path, state["backbone.fpn_lateral2.weight"]


@pytest.fixture
def row(checkpoint, monkeypatch):
    """The zoo's row of the model, which says that it has weights."""
    path, _ = checkpoint
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    row = {"config": NL, "weights": {"name": path.name, "url": None, "sha256": digest}}
    monkeypatch.setattr(models, "get_row", lambda name: row)
    monkeypatch.delenv(models.WEIGHTS_DIR, raising=False)
    return row


def test_a_model_is_built_by_its_name():
    model = model_zoo.get(NL, device="cpu")
    assert model.training
    assert len(nonlocal_blocks(model)) == 5
    with pytest.raises(FileNotFoundError, match="zzz: no such file or config"):
        model_zoo.get("zzz")


@pytest.fixture
def url(checkpoint, tmp_path, monkeypatch):
    """The address of the checkpoint's folder on a server of this machine."""
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=str(checkpoint[0].parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("how", ["argument", "environment", "url"])
def test_trained_weights_are_found_and_loaded(checkpoint, row, url, monkeypatch, how):
    path, expected = checkpoint
    folder = path.parent if how == "argument" else None
    if how == "environment":
        monkeypatch.setenv(models.WEIGHTS_DIR, str(path.parent))
    if how == "url":
        row["weights"]["url"] = f"{url}/{path.name}"
    model = model_zoo.get(NL, trained=True, weights_dir=folder, device="cpu")
    assert not model.training
    assert torch.equal(model.backbone.fpn_lateral2.weight, expected)


def test_other_weights_are_refused(checkpoint, row):
    row["weights"]["sha256"] = "0" * 64
    with pytest.raises(ValueError, match="has sha256 .*have 0000"):
        model_zoo.get(NL, trained=True, weights_dir=checkpoint[0].parent, device="cpu")


def test_missing_weights_say_how_to_train_them(row, url, tmp_path):
    train = f"python -m nonlocal_det train --config-file {NL}"
    with pytest.raises(FileNotFoundError, match=train):
        model_zoo.get(NL, trained=True, weights_dir=tmp_path)
    row["weights"]["url"] = f"{url}/none.pth"
    with pytest.raises(FileNotFoundError, match=f"none.pth: .*404.*{train}"):
        model_zoo.get(NL, trained=True)
    row["weights"] = None
    with pytest.raises(FileNotFoundError, match=f"no trained weights of {NL}; train .*{train}"):
        model_zoo.get(NL, trained=True)
