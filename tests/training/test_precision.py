"""Training in mixed precision on a CPU, with and without instructions for bfloat16."""

import pytest
import torch
from detectron2.modeling.backbone.resnet import BasicBlock
from tiny_training import lay_checkpoint, load, result, run, same
from torch import nn

from nonlocal_det.training.step import NonFiniteError, mixed_dtype, replay

MIXED = ["SOLVER.AMP.ENABLED", "True"]


@pytest.fixture
def convolved(monkeypatch) -> set[tuple[torch.dtype, bool]]:
    """In which dtypes a ResNet has answered in training, and whether with channels last."""
    seen: set[tuple[torch.dtype, bool]] = set()
    forward = BasicBlock.forward

    def noting(self, x):
        y = forward(self, x)
        for part in (self.conv1.weight, y) if self.training else ():
            seen.add((y.dtype, part.is_contiguous(memory_format=torch.channels_last)))
        return y

    monkeypatch.setattr(BasicBlock, "forward", noting)
    return seen


def has(monkeypatch, **instructions: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)


def test_a_cpu_with_bfloat16_trains_in_it(mini_coco, tmp_path, messages, monkeypatch, convolved):
    has(monkeypatch, avx2=True, avx512_bf16=True)
    run(tmp_path, *MIXED, "DATASETS.TEST", "()")
    assert convolved == {(torch.bfloat16, True)}
    assert any("cpu computes in torch.bfloat16" in message for message in messages())
    assert result(tmp_path)["hardware"].endswith(" threads, bfloat16")
    weights = [value for value in load(tmp_path)["model"].values() if value.is_floating_point()]
    assert {value.dtype for value in weights} == {torch.float32}


def test_it_resumes_exactly(mini_coco, tmp_path, monkeypatch):
    has(monkeypatch, avx512_bf16=True)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    options = [*MIXED, "SOLVER.CHECKPOINT_PERIOD", "2", "DATASETS.TEST", "()"]
    run(whole, *options, iterations=4)
    lay_checkpoint(resumed, whole, 1)
    run(resumed, "--resume", *options, iterations=4)
    assert result(resumed)["first_iteration"] == 2
    assert same(load(resumed)["model"], load(whole)["model"])


def test_a_batch_is_replayed_as_it_was_computed(mini_coco, tmp_path, monkeypatch, convolved):
    has(monkeypatch, avx512_bf16=True)
    with pytest.raises(NonFiniteError):
        run(tmp_path, *MIXED, "SOLVER.BASE_LR", "1e30", iterations=3)
    convolved.clear()
    (batch,) = (tmp_path / "nonfinite").glob("batch_*.pth")
    assert replay(batch).diagnosis is not None
    assert convolved == {(torch.bfloat16, True)}


def test_a_cpu_without_bfloat16_trains_in_full_precision_and_says_so(
    mini_coco, tmp_path, messages, monkeypatch, convolved
):
    has(monkeypatch, avx2=True, avx512_bf16=False)
    run(tmp_path, *MIXED, "DATASETS.TEST", "()")
    assert convolved == {(torch.float32, False)}
    assert any("no instructions for bfloat16" in message for message in messages())
    assert result(tmp_path)["hardware"].endswith(" threads")


def test_kernels_over_time_stay_in_full_precision_on_a_cpu(monkeypatch):
    """torch 2.11 gave weight gradients of nan and of any other number in bfloat16."""
    has(monkeypatch, avx512_bf16=True)
    video = nn.Sequential(nn.Conv3d(1, 1, (3, 1, 1)))
    assert mixed_dtype(torch.device("cpu"), video) is None
    assert mixed_dtype(torch.device("cuda"), video) == torch.float16


def test_mixed_precision_is_float16_on_a_gpu_and_bfloat16_on_a_cpu_that_has_it(monkeypatch):
    has(monkeypatch, arm_bf16=True)
    plain = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv3d(1, 1, (1, 3, 3)))
    assert mixed_dtype(torch.device("cuda", 1), plain) == torch.float16
    assert mixed_dtype(torch.device("cpu"), plain) == torch.bfloat16
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert mixed_dtype(torch.device("cpu"), plain) is None
