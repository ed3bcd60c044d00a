"""A baseline becomes its twin and back, and the command says what it does."""

import pickle
import re
import runpy
import sys
from pathlib import Path

import peer_blocks
import pytest
import torch
from detectron2.modeling import build_model
from small_models import small_config

from nonlocal_det.checkpoint import read_checkpoint
from nonlocal_det.checkpoint.convert import to_baseline, to_twin
from nonlocal_det.layers import nonlocal_blocks

ROOT = Path(__file__).parents[3]
NL = "quick/nl_mask_keypoint_rcnn_R18"
BASELINE = "quick/mask_keypoint_rcnn_R18"


@pytest.fixture
def twin():
    return build_model(small_config(NL)).eval()


@pytest.fixture(scope="module")
def baseline():
    return build_model(small_config(BASELINE)).eval()


def image():
    return [{"image": torch.randint(0, 255, (3, 64, 96), dtype=torch.uint8)}]


def test_the_twin_computes_what_the_baseline_does(baseline, twin):
    conversion = to_twin(baseline.state_dict(), twin)
    twin.load_state_dict(conversion.state)
    batch = image()
    with torch.no_grad():
        found, expected = twin(batch)[0]["instances"], baseline(batch)[0]["instances"]
    assert len(expected) > 0
    assert torch.equal(found.pred_boxes.tensor, expected.pred_boxes.tensor)
    assert torch.equal(found.scores, expected.scores)
    new = [row.ours for row in conversion.rows if row.how == "new: the identity"]
    blocks = tuple(f"{name}." for name in nonlocal_blocks(twin))
    assert new == [name for name in twin.state_dict() if name.startswith(blocks)]


def test_and_back_again(baseline, twin):
    state = to_twin(baseline.state_dict(), twin).state
    back = to_baseline(state).state
    assert {n: id(v) for n, v in back.items()} == {
        n: id(v) for n, v in state.items() if n in baseline.state_dict()
    }
    block = "backbone.bottom_up.res4.nl0"
    state[f"{block}.w_z.bias"] = torch.ones(256)
    with pytest.raises(ValueError, match=f"{block} has learnt: .*--drop-learnt"):
        to_baseline(state)
    dropped = to_baseline(state, drop_learnt=True)
    assert dropped.state.keys() == back.keys()
    assert dropped.notes == (f"{block} had learnt: the result is another function",)
    with pytest.raises(ValueError, match="a baseline already"):
        to_baseline(back)


def test_another_models_baseline_is_refused(baseline, twin):
    state = dict(baseline.state_dict())
    state["proposal_generator.anchor_generator.cell_anchors.0"] = torch.ones(1)  # in older files
    assert to_twin(state, twin).unused == ("proposal_generator.anchor_generator.cell_anchors.0",)
    gone = [name for name in state if name.startswith("backbone.bottom_up.res5")]
    for name in gone:
        state[f"other.{name}"] = state.pop(name)
    state["backbone.fpn_lateral2.weight"] = torch.ones(1)
    counted = [name for name in gone if not name.endswith("num_batches_tracked")]
    said = (
        f"another model than the twin: {len(counted)} missing: {', '.join(counted[:5])} and "
        rf"{len(counted) - 5} more; {len(counted)} left over: .*; 1 of another shape: "
        r"backbone.fpn_lateral2.weight \(1,\) for \(64, 64, 1, 1\)"
    )
    with pytest.raises(ValueError, match=said):
        to_twin(state, twin)
    with pytest.raises(ValueError, match="has no non-local block"):
        to_twin(baseline.state_dict(), baseline)


@pytest.fixture
def tool(monkeypatch, capsys):
    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["convert_checkpoint.py", *map(str, arguments)])
        runpy.run_path(str(ROOT / "tools" / "convert_checkpoint.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_the_tool_makes_a_twin_that_loads(tool, baseline, twin, tmp_path):
    torch.save({"model": baseline.state_dict()}, tmp_path / "a.pth")
    said = tool(tmp_path / "a.pth", tmp_path / "b.pth", "--from", "baseline", "--config-file", NL)
    assert "new: the identity" in said
    twin.load_state_dict(read_checkpoint(tmp_path / "b.pth")["model"])
    tool(tmp_path / "b.pth", tmp_path / "c.safetensors", "--from", "twin")
    back = read_checkpoint(tmp_path / "c.safetensors")["model"]
    assert back.keys() == baseline.state_dict().keys()
    with pytest.raises(SystemExit, match="error: --from baseline needs the twin: --config-file"):
        tool(tmp_path / "a.pth", tmp_path / "d.pth", "--from", "baseline")


def test_the_tool_brings_a_block_to_its_place(tool, tmp_path):
    theirs = peer_blocks.shake(peer_blocks.Mmcv(256, "dot_product"))
    state = {f"layer3.1.nonlocal_block.{n}": v for n, v in theirs.state_dict().items()}
    torch.save({"meta": {"epoch": 1}, "state_dict": state}, tmp_path / "a.pth")  # mmengine's
    to = ("--from", "mmcv", "--config-file", NL, "--pairwise", "dot_product")
    with pytest.raises(SystemExit, match="error: mmdetection has the block 'layer3.1.nonlocal_bl"):
        tool(tmp_path / "a.pth", tmp_path / "b.pth", *to)
    to += ("--place", "layer3.1.nonlocal_block", "backbone.bottom_up.res4.nl0")
    with pytest.raises(SystemExit, match="have PAIRWISE='dot_product', the model's"):
        tool(tmp_path / "a.pth", tmp_path / "b.pth", *to)
    assert not (tmp_path / "b.pth").exists()
    to += ("MODEL.NONLOCAL.PAIRWISE", "dot_product", "MODEL.NONLOCAL.SUBSAMPLE", "none")
    to += ("MODEL.NONLOCAL.SCALE", "False")
    said = tool(tmp_path / "a.pth", tmp_path / "b.pth", *to)
    assert re.search(
        r"layer3.1.nonlocal_block.theta.conv.weight +\| \S+res4.nl0.theta.weight", said
    )
    assert 'MODEL.NONLOCAL.PAIRWISE "dot_product"' in said
    assert "layer3.1.nonlocal_block.{conv_out.conv.weight, conv_out.conv.bias}" in said
    with pytest.raises(SystemExit, match="error: .*no config key MODEL.NONLOCAL.PAIRWIZE"):
        tool(tmp_path / "a.pth", tmp_path / "b.pth", *to, "MODEL.NONLOCAL.PAIRWIZE", "dot")
    loaded = read_checkpoint(tmp_path / "b.pth")["model"]
    name = "backbone.bottom_up.res4.nl0.w_z.bias"
    assert torch.equal(loaded[name], state["layer3.1.nonlocal_block.conv_out.conv.bias"])


def write_as(kind, state, path):
    """As the projects write: Detectron2's zoo and Caffe2 pickle arrays, SlowFast saves more."""
    arrays = {name: value.numpy() for name, value in state.items()}
    if kind == "zoo":
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "Detectron2 Model Zoo"}))
    elif kind == "caffe2":
        arrays |= {f"{name}_momentum": value for name, value in arrays.items()}
        path.write_bytes(pickle.dumps({"blobs": arrays}))
    else:
        torch.save({"epoch": 1, "model_state": state, "cfg": "NONLOCAL:"}, path)


def test_the_tool_reads_what_the_projects_write(tool, baseline, tmp_path):
    write_as("zoo", baseline.state_dict(), tmp_path / "a.pkl")
    tool(tmp_path / "a.pkl", tmp_path / "a.pth", "--from", "baseline", "--config-file", NL)
    found = read_checkpoint(tmp_path / "a.pth")["model"]
    assert all(torch.equal(found[name], value) for name, value in baseline.state_dict().items())
    video = peer_blocks.shake(peer_blocks.SlowFast(8, "softmax", True, True)).state_dict()
    state = {f"s4.pathway0_nonlocal5.{name}": value for name, value in video.items()}
    write_as("slowfast", state, tmp_path / "b.pyth")
    tool(tmp_path / "b.pyth", tmp_path / "b.pth", "--from", "slowfast")
    caffe2 = {}
    for name, value in video.items():
        layer, end = name.removeprefix("conv_").replace("norm.", "bn.").split(".")
        ends = {"weight": "w", "bias": "b", "running_mean": "rm", "running_var": "riv"}
        if end in ends:
            short = "s" if (layer, end) == ("bn", "weight") else ends[end]
            caffe2[f"nonlocal_conv4_5_{layer}_{short}"] = value
    write_as("caffe2", caffe2, tmp_path / "c.pkl")
    said = tool(tmp_path / "c.pkl", tmp_path / "c.pth", "--from", "caffe2")
    assert "_momentum" not in said
    one, other = (read_checkpoint(tmp_path / f"{name}.pth")["model"] for name in "bc")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_file_that_is_a_program_is_refused(tool, tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00lstR.")
    with pytest.raises(SystemExit, match=r"error: .*a\.pkl is not .*refused os.system"):
        tool(tmp_path / "a.pkl", tmp_path / "b.pth", "--from", "caffe2")
    with pytest.raises(SystemExit, match=r"error: .*none\.pkl: no such file"):
        tool(tmp_path / "none.pkl", tmp_path / "b.pth", "--from", "caffe2")
