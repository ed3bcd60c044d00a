"""The report says of every tensor what became of it, and a training stops where it matters."""

import pickle

import pytest
import torch
from detectron2.layers import FrozenBatchNorm2d
from detectron2.modeling import build_model
from small_models import small_config
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.layers import nonlocal_blocks

NL = "quick/nl_mask_keypoint_rcnn_R18"
BASELINE = "quick/mask_keypoint_rcnn_R18"
RES = "backbone.bottom_up.res4.0.conv1.weight"
FPN = "backbone.fpn_lateral2.weight"


@pytest.fixture(scope="module")
def nl_model() -> nn.Module:
    return build_model(small_config(NL))


@pytest.fixture(scope="module")
def states(nl_model) -> dict[str, dict[str, torch.Tensor]]:
    return {NL: nl_model.state_dict(), BASELINE: build_model(small_config(BASELINE)).state_dict()}


def load(model, state, tmp_path, **options):
    torch.save({"model": dict(state)}, tmp_path / "a.pth")
    checkpointer = SafeCheckpointer(model, **options)
    checkpointer.load(str(tmp_path / "a.pth"))
    return checkpointer.report


def test_the_same_model_fits(nl_model, states, tmp_path):
    report = load(nl_model, states[NL], tmp_path, require="all")
    assert report.fits()
    assert set(report.matched) == set(states[NL])
    assert "unexpected, so" not in str(report)


def test_a_baseline_in_its_twin_lacks_the_blocks_alone(nl_model, states, tmp_path, caplog):
    report = load(nl_model, states[BASELINE], tmp_path, require="backbone")
    blocks = tuple(f"{name}." for name in nonlocal_blocks(nl_model))
    assert report.missing == report.expected
    assert set(report.missing) == {name for name in states[NL] if name.startswith(blocks)}
    assert report.unmatched == []
    assert not report.fits()
    said = "missing, as expected: backbone.bottom_up.res4.nl0.theta."
    assert said in caplog.text


def test_each_kind_of_misfit_is_told_apart(nl_model, states, tmp_path):
    state = dict(states[NL])
    del state[FPN]
    state[RES] = torch.zeros(2, 3)
    state["backbone.extra.weight"] = torch.zeros(1)
    report = load(nl_model, state, tmp_path)
    assert report.missing == (FPN,)
    assert report.expected == ()
    assert report.mismatched == ((RES, (2, 3), tuple(states[NL][RES].shape)),)
    assert report.unexpected == ("backbone.extra.weight",)
    assert set(report.matched) == set(states[NL]) - {FPN, RES}
    assert report.unmatched == [FPN, RES]
    assert report.unmatched_backbone == [RES]
    table = [[word.strip() for word in line.split("|")] for line in str(report).splitlines()]
    number = sum(name.startswith("backbone.bottom_up.res4.") for name in states[NL])
    assert ["", "backbone.bottom_up.res4", str(number - 1), "0", "1", "0", ""] in table
    assert ["", "all", str(len(states[NL]) - 2), "1", "1", "1", ""] in table
    assert f"mismatched, so left as it was: {RES}: (2, 3) in the file" in str(report)
    assert "unexpected, so not used: backbone.extra.weight" in str(report)


def test_half_a_block_is_not_expected(nl_model, states, tmp_path):
    gone = "backbone.bottom_up.res4.nl0.w_z.weight"
    state = {name: value for name, value in states[NL].items() if name != gone}
    assert load(nl_model, state, tmp_path).unmatched_backbone == [gone]


@pytest.mark.parametrize(
    ("require", "lacking", "stops"),
    [
        ("backbone", RES, True),
        ("backbone", FPN, False),  # weights of ImageNet have no FPN
        ("nothing", RES, False),
    ],
)
def test_training_stops_for_what_it_needs(nl_model, states, tmp_path, require, lacking, stops):
    state = {name: value for name, value in states[BASELINE].items() if name != lacking}
    if not stops:
        load(nl_model, state, tmp_path, require=require)
        return
    with pytest.raises(ValueError, match=f"leaves 1 tensors.*{lacking}.*--allow-unmatched"):
        load(nl_model, state, tmp_path, require=require)


def test_a_resumed_training_needs_every_tensor(nl_model, states, tmp_path):
    SafeCheckpointer(build_model(small_config(NL)), str(tmp_path)).save("model_0000001")
    other = build_model(small_config(NL, "MODEL.ROI_HEADS.NUM_CLASSES", 7))
    said = r"another model: mismatched.*cls_score.weight: \(\d+, .*--allow-unmatched"
    with pytest.raises(ValueError, match=said):
        SafeCheckpointer(other, str(tmp_path), require="backbone").resume_or_load("", resume=True)
    checkpointer = SafeCheckpointer(other, str(tmp_path), require="nothing")
    checkpointer.resume_or_load("", resume=True)
    assert "roi_heads.box_predictor.cls_score.weight" in checkpointer.report.unmatched
    baseline = build_model(small_config(BASELINE))
    with pytest.raises(ValueError, match=r"another model: unexpected.*res4\.nl0"):
        SafeCheckpointer(baseline, str(tmp_path), require="backbone").resume_or_load("")


def test_a_wrong_shape_under_caffe2s_names_is_no_missing_one(nl_model, states, tmp_path):
    weight = states[BASELINE]["backbone.bottom_up.stem.conv1.weight"]
    content = {"conv1_w": weight.numpy()[:, :2], "fc1000_w": weight.numpy()}
    content["res2_0_branch2a_w"] = states[BASELINE][
        "backbone.bottom_up.res2.0.conv1.weight"
    ].numpy()
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    checkpointer = SafeCheckpointer(nl_model)
    checkpointer.load(str(tmp_path / "a.pkl"))
    report = checkpointer.report
    assert report.matched == ("backbone.bottom_up.res2.0.conv1.weight",)
    wrong = (
        "backbone.bottom_up.stem.conv1.weight",
        tuple(weight[:, :2].shape),
        tuple(weight.shape),
    )
    assert report.mismatched == (wrong,)
    assert wrong[0] not in report.missing
    assert report.unexpected == ("fc1000.weight",)


def test_a_tensor_of_two_names_needs_one(tmp_path):
    model = nn.ModuleDict({"a": nn.Linear(2, 2)})
    model["b"] = model["a"]
    report = load(model, {"a.weight": torch.ones(2, 2), "a.bias": torch.ones(2)}, tmp_path)
    assert report.missing == ()


def test_what_batch_norms_fill_in_is_not_called_matched(tmp_path):
    model = nn.Sequential(FrozenBatchNorm2d(2), nn.BatchNorm2d(2))
    state = {f"{n}.{key}": torch.ones(2) for n in (0, 1) for key in ("weight", "bias")}
    state |= {"1.running_mean": torch.ones(2), "1.running_var": torch.ones(2)}
    report = load(model, state, tmp_path)
    assert set(report.matched) == set(state)
    filled = {"0.running_mean", "0.running_var", "1.num_batches_tracked"}
    assert set(report.missing) == set(report.expected) == filled


def test_a_prefix_of_data_parallel_is_no_misfit(tmp_path):
    state = {"module.weight": torch.ones(2, 2), "module.bias": torch.ones(3)}
    report = load(nn.Linear(2, 2), state, tmp_path)
    assert report.matched == ("weight",)
    assert report.mismatched == (("bias", (3,), (2,)),)
    assert report.missing == report.unexpected == ()
