"""How far every kernel in half precision is from float64 (the table in docs/kernels.md).

python benchmarks/accuracy.py
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from measure import publish

from nonlocal_det.experiments.markdown import markdown_table
from nonlocal_det.layers import KERNELS, PAIRWISE, response
from nonlocal_det.layers.pairwise import SOFTMAX
from nonlocal_det.training.provenance import hardware

N, P, Q, CI = 2, 300, 80, 64
BOUNDS = {torch.bfloat16: 1e-2, torch.float16: 1.25e-3}
"""Relative errors of a response and of its gradients that the tests allow: some roundings."""


def errors(pairwise: str, kernel: str, dtype: torch.dtype, magnitude: float) -> dict[str, float]:
    """Compare a kernel in half precision with `dense` in float64, on the same rounded numbers.

    Args:
        pairwise: as `response` has it.
        kernel: as `response` has it.
        dtype: of theta, phi and g.
        magnitude: the standard deviation of g, and of theta and phi where they are in no softmax;
            there scores have a standard deviation of 2, as of a softmax that is not one-hot.

    Returns:
        ``||a - b|| / ||b||`` of the response ``y`` and of the gradients of theta, phi, g.
    """
    generator = torch.Generator().manual_seed(0)
    softmax = pairwise in SOFTMAX
    scale = 2 / (magnitude**2 * CI**0.5) if softmax else 1.0
    sizes = ((N, P, CI), (N, Q, CI), (N, Q, CI))
    drawn = [(torch.randn(s, generator=generator) * magnitude).to(dtype) for s in sizes]
    w_f = torch.randn(2 * CI, generator=generator) / CI**0.5
    upstream = torch.randn(N, P, CI, generator=generator)
    if not softmax:  # gradients within float16, as a loss scale keeps them
        upstream /= magnitude**2
    results = []
    for chosen, kind in ((kernel, dtype), ("dense", torch.float64)):
        inputs = [x.to(kind).requires_grad_() for x in drawn]
        weights = w_f.to(torch.float64 if kind == torch.float64 else torch.float32)
        y = response(*inputs, pairwise=pairwise, kernel=chosen, scale=scale, w_f=weights)
        grads = torch.autograd.grad((y.double() * upstream.double()).sum(), inputs)
        results.append([y.detach().double(), *(grad.double() for grad in grads)])
    names = ("y", "theta", "phi", "g")
    return {
        name: float((a - b).norm() / b.norm()) for name, a, b in zip(names, *results, strict=True)
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, compute and print."""
    parser = argparse.ArgumentParser(description="Accuracy of the kernels in half precision.")
    parser.add_argument("--json", type=Path, help="also write the results here")
    args = parser.parse_args(argv)
    rows = [
        {
            "function": pairwise,
            "kernel": kernel,
            "dtype": str(dtype).removeprefix("torch."),
            "magnitude": magnitude,
            **errors(pairwise, kernel, dtype, magnitude),
        }
        for pairwise in PAIRWISE
        for kernel, (_, serves) in KERNELS.items()
        if pairwise in serves
        for dtype in BOUNDS
        for magnitude in (1, 300)
    ]
    cells = [[f"{v:.1e}" if isinstance(v, float) else str(v) for v in r.values()] for r in rows]
    publish(
        rows,
        markdown_table([*rows[0]], cells, left=3),
        hardware("cpu", packages=("torch",)),
        args.json,
    )


if __name__ == "__main__":
    main()
