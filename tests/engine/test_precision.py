"""Training in mixed precision on a CPU, with and without instructions for bfloat16."""

import json

import pytest
import torch
from detectron2.layers import Conv2d
from tiny_training import run

from nonlocal_det.engine.step import mixed_dtype

MIXED = ["SOLVER.AMP.ENABLED", "True"]


@pytest.fixture
def convolved(monkeypatch) -> set[torch.dtype]:
    """In which dtypes convolutions have answered while gradients were taken."""
    seen: set[torch.dtype] = set()
    forward = Conv2d.forward

    def noting(self, x):
        y = forward(self, x)
        if torch.is_grad_enabled():
            seen.add(y.dtype)
        return y

    monkeypatch.setattr(Conv2d, "forward", noting)
    return seen


def has(monkeypatch, **instructions: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)


def test_a_cpu_with_bfloat16_trains_in_it(mini_coco, tmp_path, messages, monkeypatch, convolved):
    has(monkeypatch, avx2=True, avx512_bf16=True)
    run(tmp_path, *MIXED)
    assert convolved == {torch.bfloat16}
    assert any("cpu computes in torch.bfloat16" in message for message in messages())
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["hardware"].endswith(" threads, bfloat16")
    saved = torch.load(tmp_path / "model_final.pth", weights_only=True)
    weights = [value for value in saved["model"].values() if value.is_floating_point()]
    assert {value.dtype for value in weights} == {torch.float32}
    run(tmp_path, "--resume", *MIXED, iterations=3)
    assert "Starting training from iteration 2" in (tmp_path / "log.txt").read_text()


def test_a_cpu_without_bfloat16_trains_in_full_precision_and_says_so(
    mini_coco, tmp_path, messages, monkeypatch, convolved
):
    has(monkeypatch, avx2=True, avx512_bf16=False)
    run(tmp_path, *MIXED)
    assert convolved == {torch.float32}
    assert any("no instructions for bfloat16" in message for message in messages())
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["hardware"].endswith(" threads")


def test_mixed_precision_is_float16_on_a_gpu_and_bfloat16_on_a_cpu_that_has_it(monkeypatch):
    has(monkeypatch, arm_bf16=True)
    assert mixed_dtype(torch.device("cuda", 1)) == torch.float16
    assert mixed_dtype(torch.device("cpu")) == torch.bfloat16
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert mixed_dtype(torch.device("cpu")) is None
