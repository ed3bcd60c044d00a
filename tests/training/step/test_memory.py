"""Out of GPU memory: torch's own error, with the batch, the kernel, the sizes and what to set."""

import traceback

import pytest
import torch
from tiny_step import Run, images

from nonlocal_det.layers import NonLocalBlock, kernels
from nonlocal_det.training.step.memory import MemoryAdvice

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB."


def run_out(*_, **__):
    raise torch.cuda.OutOfMemoryError(FULL)


def test_a_step_says_batch_block_and_cure_and_keeps_the_cause(tmp_path):
    run = Run(tmp_path, [images(3), images(3)])
    block = NonLocalBlock(8, kernel="dense", subsample="none")
    run.model.stem.add_module("nl", block)
    run = Run(tmp_path, [images(3), images(3)], run.model).steps(1)
    run.model.head.register_forward_hook(run_out)
    with pytest.raises(torch.cuda.OutOfMemoryError) as stop:
        run.steps(1)
    said = str(stop.value)
    assert said.startswith(f"{FULL}\nOut of memory at iteration 1, in a batch of 3 images padded ")
    assert "to 6x6 (0_0.jpg, 0_1.jpg, 0_2.jpg)" in said
    assert "stem.nl: kernel 'dense', 3 x 16 queries x 16 keys, 0 MiB as a matrix" in said
    assert "--accumulate 3" in said
    assert "MODEL.NONLOCAL.KERNEL auto" in said
    assert "MODEL.NONLOCAL.SUBSAMPLE after" in said
    assert str(stop.value.__cause__) == FULL
    frames = traceback.extract_tb(stop.value.__cause__.__traceback__)
    assert frames[-1].name == "run_out"


@pytest.mark.parametrize("mixed", [False, True])
def test_only_what_helps_is_proposed(mixed):
    block = NonLocalBlock(8)
    advice = MemoryAdvice(torch.nn.ModuleDict({"nl": block}))
    block(torch.zeros(2, 8, 5, 7))
    full = torch.cuda.OutOfMemoryError(FULL)
    said = str(advice.explain(full, images(2), parts=2, iteration=0, mixed=mixed))
    assert "nl: kernel 'auto', 2 x 35 queries x 12 keys" in said
    for useless in ("--accumulate", "KERNEL", "SUBSAMPLE"):
        assert useless not in said
    assert ("SOLVER.AMP.ENABLED True" in said) is not mixed


@pytest.mark.parametrize(
    ("pairwise", "kernel", "cure"),
    [
        ("embedded_gaussian", "dense", "'chunked' does not build it"),
        ("dot_product", "dense", "'factored' does not build it"),
        ("embedded_gaussian", "chunked", "12 keys of width 4"),
    ],
)
def test_the_block_itself_names_its_kernel_and_sizes(monkeypatch, pairwise, kernel, cure):
    serves = kernels.KERNELS[kernel][1]
    monkeypatch.setitem(kernels.KERNELS, kernel, (run_out, serves))
    block = NonLocalBlock(8, pairwise=pairwise, kernel=kernel)
    with pytest.raises(torch.cuda.OutOfMemoryError) as stop:
        block(torch.zeros(2, 8, 5, 7))
    said = str(stop.value)
    assert said.startswith(FULL)
    assert f"pairwise='{pairwise}', kernel='{kernel}', 2 x 35 queries x 12 keys of width 4" in said
    assert cure in said
    assert str(stop.value.__cause__) == FULL
