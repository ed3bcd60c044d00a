"""Two processes with half the images each are one process with all of them."""

import pytest
import torch
from detectron2.utils import comm
from torch.nn.parallel import DistributedDataParallel

from nonlocal_det.layers import NonLocalBlock
from nonlocal_det.training import launch

SIZES = (1, 3)  # images of the two processes: their sums must be weighed


def block(norm):
    torch.manual_seed(0)
    made = NonLocalBlock(8, norm=norm, pairwise="dot_product").double()
    torch.nn.init.normal_(made.norm.weight)
    return made


def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(sum(SIZES), 8, 5, 6, dtype=torch.double, generator=generator)


def step(model, x):
    """A loss that is a sum over images, its gradients and the running statistics."""
    x = x.clone().requires_grad_()
    z = model(x)
    z.square().sum().backward()
    core = getattr(model, "module", model)
    grads = {name: p.grad for name, p in core.named_parameters()}
    return {"z": z.detach(), "x": x.grad, **grads, **dict(core.named_buffers())}


def worker(folder):
    rank = comm.get_rank()
    part = images().split(SIZES)[rank]
    model = DistributedDataParallel(block("SyncBN"))
    torch.save(step(model, part), f"{folder}/{rank}.pth")


@pytest.mark.slow
def test_ddp_with_sync_bn_in_the_block_equals_one_process(tmp_path):
    launch(worker, len(SIZES), device="cpu", args=(tmp_path,))
    expected = step(block("BN"), images())
    parts = [torch.load(tmp_path / f"{rank}.pth") for rank in range(len(SIZES))]
    for name in ("z", "x"):
        both = torch.cat([part[name] for part in parts])
        torch.testing.assert_close(both, expected[name], msg=name)
    for name in expected.keys() - {"z", "x"}:
        # DistributedDataParallel averages the gradients over the processes
        factor = 1 if name.startswith("norm.running") or "tracked" in name else len(SIZES)
        for part in parts:
            torch.testing.assert_close(part[name] * factor, expected[name], msg=name)


def test_without_processes_it_is_torchs_own_batch_norm():
    x = images()
    results = [step(block(norm), x) for norm in ("SyncBN", "BN")]
    for name, value in results[0].items():
        torch.testing.assert_close(value, results[1][name], msg=name)
