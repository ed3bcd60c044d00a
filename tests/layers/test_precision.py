"""Mixed precision: the large products stay in half precision, and nothing waits for the device."""

import pytest
import torch
from accuracy import BOUNDS, errors
from tiny_step import Run, TinyNet, batches
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from nonlocal_det.layers import (
    KERNELS,
    PAIRWISE,
    NonLocalBlock,
    PerPositionBlock,
    known_padding,
)
from nonlocal_det.layers.precision import multiply, product

FORMS = [(p, k) for p in PAIRWISE for k in ("auto", *KERNELS) if k == "auto" or p in KERNELS[k][1]]
HALF = (torch.float16, torch.bfloat16)
WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "item")


class Operations(TorchDispatchMode):
    """Lists the products of matrices by the dtypes of their operands, and what waits for a device.

    A product with a vector, as w_f's, is none of matrices.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[str, set[torch.dtype]]] = []
        self.waits: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        tensors = [x for x in args if isinstance(x, torch.Tensor) and x.is_floating_point()]
        if name in ("bmm", "baddbmm", "mm", "addmm") or "scaled_dot_product" in name:
            a, b = tensors[:2] if "add" not in name else tensors[1:3]
            if min(*a.shape[-2:], b.shape[-1]) > 1:
                self.products.append((name, {a.dtype, b.dtype}))
        if name in WAITS:
            self.waits.append(name)
        return function(*args, **kwargs or {})


@pytest.mark.parametrize(("masked", "regions"), [(False, ()), (True, ()), (True, (2, 2))])
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(("pairwise", "kernel"), FORMS)
def test_no_product_over_pairs_has_a_float32_operand(pairwise, kernel, dtype, masked, regions):
    options = {"pairwise": pairwise, "kernel": kernel, "subsample": "none", "regions": regions}
    block = NonLocalBlock(16, norm="", **options)
    nn.init.normal_(block.w_z.weight)
    x = torch.randn(2, 16, 6, 5, requires_grad=True)
    with known_padding(block, [(96, 80), (64, 48) if masked else (96, 80)], (96, 80)):
        with torch.autocast("cpu", dtype=dtype), Operations() as operations:
            z = block(x)
        with operations:
            z.float().square().sum().backward()
    seen = {dtypes for _, names in operations.products for dtypes in names}
    assert seen == (set() if kernel == "sorted" else {dtype}), operations.products
    assert z.dtype == torch.float32
    assert operations.waits == []


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_the_control_multiplies_in_half_precision_too(pairwise, dtype):
    block = PerPositionBlock(16, pairwise=pairwise, kernel="dense", norm="")
    with torch.autocast("cpu", dtype=dtype), Operations() as operations:
        block(torch.randn(2, 16, 6, 5))
    assert {dtypes for _, names in operations.products for dtypes in names} == {dtype}


@pytest.mark.parametrize("magnitude", [1, 300])
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(("pairwise", "kernel"), [f for f in FORMS if f[1] != "auto"])
def test_half_precision_is_as_accurate_as_it_can_be(pairwise, kernel, dtype, magnitude):
    bound = BOUNDS[dtype]
    for name, error in errors(pairwise, kernel, dtype, magnitude).items():
        assert error <= bound, (name, error)


@pytest.mark.parametrize("dtype", HALF)
def test_a_product_of_half_operands_is_that_of_their_numbers(dtype):
    a, b = (torch.randint(-8, 9, s).to(dtype).requires_grad_() for s in ((2, 5, 7), (2, 7, 3)))
    y = product(a, b, dtype)
    assert y.dtype == torch.float32
    assert torch.equal(y, a.float() @ b.float())  # small whole numbers: nothing is rounded
    t = torch.randint(-8, 9, y.shape).float()
    grads = torch.autograd.grad(y, (a, b), t)
    assert torch.equal(grads[0].float(), t @ b.float().transpose(1, 2))
    assert torch.equal(grads[1].float(), a.float().transpose(1, 2) @ t)


@pytest.mark.parametrize("size", [6e4, 1.0, 1e-7])
def test_float16_products_neither_overflow_nor_vanish(size):
    a, b = torch.full((1, 2, 2**17), size).half(), torch.full((1, 2**17, 2), size).half()
    expected = a.double() @ b.double()
    y = multiply(a, b, torch.float16)
    assert ((y.double() - expected).abs() / expected).max() < 1e-3
    small = multiply(torch.full((1, 2, 4), 1e-30), b[:, :4], torch.float16)  # a small gradient
    assert (small / (4e-30 * b[0, 0, 0].float()) - 1).abs().max() < 1e-3


def test_a_training_step_of_a_block_waits_twice_for_the_device(tmp_path):
    net = TinyNet()
    net.neck = NonLocalBlock(8, norm="")
    run = Run(tmp_path, batches(2), model=net).steps(1)
    with Operations() as operations:
        run.steps(1)
    assert len(operations.waits) <= 2  # for the losses, and for the norm of the gradients
