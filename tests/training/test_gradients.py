"""Several processes with a share of the batch each have the gradients of one with all of it."""

import pytest
import shared_batch
import torch
from torchvision.ops import boxes as box_ops

from nonlocal_det.training import launch


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(torch, "randperm", torch.randperm)  # `gradients` replaces both
    monkeypatch.setattr(box_ops, "nms", box_ops.nms)
    launch(shared_batch.gradients, 2, device="cpu", args=(str(tmp_path),))
    shared_batch.gradients(str(tmp_path))
    one = torch.load(tmp_path / "0_of_1.pth")
    trained = [name for name, gradient in one.items() if gradient.abs().max() > 1e-12]
    assert {name.split(".")[0] for name in trained} == {
        "backbone",
        "proposal_generator",
        "roi_heads",
    }
    assert (
        sum(".nl" in name for name in trained) > 5 * 5
    )  # of five blocks; biases that cancel apart
    for rank in (0, 1):
        share = torch.load(tmp_path / f"{rank}_of_2.pth")
        for name, expected in one.items():
            atol = 1e-5 * expected.abs().max().item() + 1e-12
            torch.testing.assert_close(share[name], expected, rtol=0, atol=atol, msg=name)
