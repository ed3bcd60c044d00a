"""Weights go to safetensors and back, and mean the same."""

import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer, convert_weights, load_weights

ROOT = Path(__file__).parents[2]


def test_a_checkpoint_becomes_safetensors_and_loads(run, tmp_path):
    target = tmp_path / "a.safetensors"
    assert convert_weights(run.folder / "model_0000002.pth", target) == 2
    other = load_file(target)  # by the library itself
    assert torch.equal(other["weight"], run.model.weight)
    model = nn.Linear(3, 2)
    load_weights(model, target)
    assert torch.equal(model.bias, run.model.bias)
    assert convert_weights(target, tmp_path / "b.pth") == 2
    back = torch.load(tmp_path / "b.pth", weights_only=True)["model"]
    assert torch.equal(back["weight"], run.model.weight)


def test_a_conversion_leaves_alone_what_a_training_is_writing(run):
    other = run.folder / ".model_0000003.pth.partial"
    other.write_bytes(b"half")
    convert_weights(run.folder / "model_0000002.pth", run.folder / "weights.pth")
    assert other.exists()


def test_shared_tensors_are_written_twice(tmp_path):
    one = torch.arange(4.0)
    torch.save({"a": one, "b": one, "c": one.view(2, 2).T}, tmp_path / "a.pth")
    assert convert_weights(tmp_path / "a.pth", tmp_path / "a.safetensors") == 3
    assert torch.equal(load_file(tmp_path / "a.safetensors")["c"], one.view(2, 2).T)


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_caffe2s_names_are_matched_after_a_conversion_too(ending, tmp_path):
    content = {"conv1_w": np.ones((2, 3), "f4"), "conv1_b": np.zeros(2, "f4")}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    convert_weights(tmp_path / "a.pkl", tmp_path / f"a{ending}")
    model = nn.ModuleDict({"stem": nn.ModuleDict({"conv1": nn.Linear(3, 2)})})
    checkpointer = SafeCheckpointer(model)
    checkpointer.load(str(tmp_path / f"a{ending}"))
    assert checkpointer.report.fits()
    assert torch.equal(model["stem"]["conv1"].weight, torch.ones(2, 3))


def test_weights_that_do_not_fit_are_refused(tmp_path):
    torch.save({"weight": torch.ones(2, 2), "x": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth does not fit: missing.*bias; .*\(2, 3\).*; .*x"):
        load_weights(nn.Linear(3, 2), tmp_path / "a.pth")


def test_a_conversion_that_cannot_be_is_refused(run, tmp_path):
    source = run.folder / "model_0000002.pth"
    with pytest.raises(ValueError, match=r"a\.onnx: expected a name that ends in \.safetensors"):
        convert_weights(source, tmp_path / "a.onnx")
    with pytest.raises(FileNotFoundError, match=r"none\.pth: no such file"):
        convert_weights(tmp_path / "none.pth", tmp_path / "a.pth")


def test_the_tool_converts_and_says_what_is_wrong(run, tmp_path, monkeypatch, capsys):
    def tool(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["convert_checkpoint.py", *map(str, arguments)])
        runpy.run_path(str(ROOT / "tools" / "convert_checkpoint.py"), run_name="__main__")

    tool(run.folder / "model_0000002.pth", tmp_path / "a.safetensors")
    assert capsys.readouterr().out.startswith(f"{tmp_path}/a.safetensors: 2 tensors of ")
    (tmp_path / "bad.pkl").write_bytes(b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00lstR.")
    with pytest.raises(SystemExit, match="error: .*bad.pkl is not .*refused os.system"):
        tool(tmp_path / "bad.pkl", tmp_path / "b.pth")
    assert not (tmp_path / "b.pth").exists()
