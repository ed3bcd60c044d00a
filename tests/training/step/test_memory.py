"""Out of GPU memory: torch's own error, with the batch, the kernel, the sizes and what to set."""

import traceback

import pytest
import torch
from tiny_step import Run, images

from nonlocal_det.layers import NonLocalBlock, kernels
from nonlocal_det.training.step.memory import explain_out_of_memory

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB."


def run_out(*_, **__):
    raise torch.cuda.OutOfMemoryError(FULL)


def test_a_step_names_batch_and_cures_and_keeps_the_cause(tmp_path):
    run = Run(tmp_path, [images(3), images(3)])
    run.model.stem.add_module("nl", NonLocalBlock(8, kernel="dense", subsample="none"))
    run.steps(1)
    run.model.head.register_forward_hook(run_out)
    with pytest.raises(torch.cuda.OutOfMemoryError) as stop:
        run.steps(1)
    message = str(stop.value)
    assert message.startswith(
        f"{FULL}\nOut of memory with a batch of 3 images padded to 6x6 (0_0.j"
    )
    for cure in ("--accumulate 3", "MODEL.NONLOCAL.KERNEL auto", "MODEL.NONLOCAL.SUBSAMPLE after"):
        assert cure in message
    assert str(stop.value.__cause__) == FULL
    frames = traceback.extract_tb(stop.value.__cause__.__traceback__)
    assert frames[-1].name == "run_out"


@pytest.mark.parametrize("mixed", [False, True])
def test_only_what_helps_is_proposed(mixed):
    model = torch.nn.ModuleDict({"nl": NonLocalBlock(8)})
    full = torch.cuda.OutOfMemoryError(FULL)
    message = str(explain_out_of_memory(full, model, images(2), parts=2, mixed=mixed))
    for useless in ("--accumulate", "KERNEL", "SUBSAMPLE"):
        assert useless not in message
    assert ("SOLVER.AMP.ENABLED True" in message) is not mixed


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
