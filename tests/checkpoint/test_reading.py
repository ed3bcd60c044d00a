"""Good files of every kind come out as they went in."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from safetensors.torch import save_file
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer, read_checkpoint

ARRAYS = {
    "plain": np.arange(6, dtype="f4").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype="f8").reshape(2, 3)),
    "big_endian": np.arange(4, dtype=">i2"),
    "number": np.array(7),
    "none": np.zeros((0, 3), "f2"),
    "bool": np.array([True, False]),
    "view": np.arange(10)[::2],
}


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_arrays_come_back_from_every_protocol(protocol, tmp_path):
    path = tmp_path / "a.pkl"
    content = {"model": OrderedDict(ARRAYS), "__author__": "me", "more": [1, (2.5, None), b"\xff"]}
    path.write_bytes(pickle.dumps(content, protocol))
    loaded = read_checkpoint(path)
    assert list(loaded["model"]) == list(ARRAYS)
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(loaded["model"][name], value)
        assert loaded["model"][name].dtype == value.dtype.newbyteorder("=")
        assert loaded["model"][name].flags.writeable
    assert loaded["more"] == [1, (2.5, None), b"\xff"]
    assert loaded["__author__"] == "me"


def test_a_number_of_numpy_is_read(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"model": {}, "__author__": np.float32(1.5)}))
    assert read_checkpoint(tmp_path / "a.pkl")["__author__"] == 1.5


# {"blobs": {"a": an array of [1, 2], "a_momentum": the same}, "cfg": u""} as Python 2 pickles it
PYTHON_2 = (
    b"\x80\x02}q\x00(U\x05blobsq\x01}q\x02(U\x01aq\x03cnumpy.core.multiarray\n_reconstruct\nq\x04"
    b"cnumpy\nndarray\nq\x05K\x00\x85q\x06U\x01bq\x07\x87q\x08Rq\t(K\x01K\x02\x85q\ncnumpy\ndtype\n"
    b"q\x0bU\x02f4q\x0cK\x00K\x01\x87q\rRq\x0e(K\x03U\x01<q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff"
    b"\xffK\x00tq\x10b\x89U\x08\x00\x00\x80?\x00\x00\x00@q\x11tq\x12bU\na_momentumq\x13h\tuU\x03cfg"
    b"q\x14X\x00\x00\x00\x00q\x15u."
)


def test_a_pickle_of_python_2_is_read_as_caffe2s(tmp_path):
    (tmp_path / "a.pkl").write_bytes(PYTHON_2)
    loaded = read_checkpoint(tmp_path / "a.pkl")
    assert list(loaded["model"]) == ["a"]
    assert loaded["model"]["a"].tolist() == [1.0, 2.0]
    assert loaded["matching_heuristics"]
    assert loaded["__author__"] == "Caffe2"


STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, 2.0])}


def write(path, kind: str) -> None:
    if kind == "safetensors":
        save_file(STATE, path)
    elif kind == "pyth":
        torch.save({"model_state": {**STATE, "x.num_batches_tracked": torch.tensor(1)}}, path)
    else:
        torch.save(STATE if kind == "bare" else {"model": STATE}, path, **WAYS.get(kind, {}))


WAYS = {"old": {"_use_new_zipfile_serialization": False}}


@pytest.mark.parametrize("kind", ["pth", "bare", "old", "safetensors", "pyth"])
def test_every_kind_of_file_fills_a_model(kind, tmp_path):
    path = tmp_path / f"a.{kind if kind in ('safetensors', 'pyth') else 'pth'}"
    write(path, kind)
    layer = nn.Linear(3, 2)
    checkpointer = SafeCheckpointer(layer)
    checkpointer.load(str(path))
    assert checkpointer.report.fits()
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in STATE.items())


def test_what_torch_shares_and_views_is_read(tmp_path):
    base = torch.arange(12.0)
    state = {
        "a": base,
        "b": base,
        "c": base.view(3, 4).T[1:],
        "d": torch.tensor(3, dtype=torch.int8),
    }
    state |= {"e": torch.zeros(0, 4), "f": nn.Parameter(torch.ones(2).bfloat16())}
    torch.save({"model": state}, tmp_path / "a.pth")
    loaded = read_checkpoint(tmp_path / "a.pth")["model"]
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_detectron2_reads_our_checkpoints_and_we_read_its(tmp_path):
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    SafeCheckpointer(ours, str(tmp_path / "ours"), made_by={"commit": "abc"}).save("model_0000004")
    extra = DetectionCheckpointer(theirs, str(tmp_path / "ours")).resume_or_load("", resume=True)
    assert extra["made_by"] == {"commit": "abc"}
    assert torch.equal(ours.weight, theirs.weight)
    nn.init.zeros_(theirs.weight)
    (tmp_path / "theirs").mkdir()
    DetectionCheckpointer(theirs, str(tmp_path / "theirs")).save("model_0000004", iteration=4)
    extra = SafeCheckpointer(ours, str(tmp_path / "theirs")).resume_or_load("", resume=True)
    assert extra["iteration"] == 4
    assert torch.equal(ours.weight, theirs.weight)


def test_a_url_may_ask_for_name_matching(tmp_path):
    from types import SimpleNamespace

    torch.save({"model": {"weight": torch.ones(2, 3), "bias": torch.ones(2)}}, tmp_path / "a.pth")
    model = nn.Sequential(nn.Linear(3, 2))
    checkpointer = SafeCheckpointer(model)
    # as Detectron2's main leaves it for the loader; the 0.6 release has no such thing
    checkpointer._parsed_url_during_load = SimpleNamespace(query="matching_heuristics=True")
    assert checkpointer._load_file(str(tmp_path / "a.pth"))["matching_heuristics"]
