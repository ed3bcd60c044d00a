"""The non-local block as loops over positions, written from the paper's equations alone.

One image, float64, no batching, no matrix product: slow, and easy to hold against the paper. It
takes the block's weights by name and shares no code with the package.
"""

import itertools
import math

import torch
from torch import Tensor


def linear(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """A 1x1 convolution at one position: W x + b."""
    matrix = weights[f"{name}.weight"].flatten(1)
    rows = [sum(w * v for w, v in zip(row, x, strict=True)) for row in matrix]
    out = torch.stack(rows)
    return out + weights[f"{name}.bias"] if f"{name}.bias" in weights else out


def positions(x: Tensor) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(size) for size in x.shape[1:])))


def per_position(function, x: Tensor) -> Tensor:
    """Apply ``function`` to the feature vector at every position of x (C, *S)."""
    columns = [function(x[(slice(None), *at)]) for at in positions(x)]
    return torch.stack(columns, dim=1).reshape(-1, *x.shape[1:])


def max_pool(x: Tensor) -> Tensor:
    """Max over 2x2 spatial windows; over (1, 2, 2) in 3D; what is left over is its own window."""
    sides = (1, 2, 2) if x.dim() == 4 else (2,) * (x.dim() - 1)
    out_shape = [math.ceil(size / side) for size, side in zip(x.shape[1:], sides, strict=True)]
    columns = []
    for at in itertools.product(*(range(size) for size in out_shape)):
        window = x[
            (slice(None), *(slice(a * s, a * s + s) for a, s in zip(at, sides, strict=True)))
        ]
        columns.append(torch.stack([channel.flatten().max() for channel in window]))
    return torch.stack(columns, dim=1).reshape(-1, *out_shape)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return sum(u * v for u, v in zip(a, b, strict=True))


def pair(pairwise: str, theta_i: Tensor, phi_j: Tensor, scale: float, w_f: Tensor | None) -> Tensor:
    """f(x_i, x_j), Eq. 2 to 5."""
    if pairwise in ("gaussian", "embedded_gaussian"):
        return torch.exp(scale * dot(theta_i, phi_j))
    if pairwise == "dot_product":
        return scale * dot(theta_i, phi_j)
    return torch.clamp(dot(w_f, torch.cat([theta_i, phi_j])), min=0)


def embed(weights: dict[str, Tensor], x: Tensor, pairwise: str, subsample: str):
    """theta, phi, g of x (C, *S), with the paper's ("after") or the code's ("before") pooling."""
    embedded = pairwise != "gaussian"
    source = max_pool(x) if subsample == "before" else x
    theta = per_position(lambda v: linear(weights, "theta", v), x) if embedded else x
    phi = per_position(lambda v: linear(weights, "phi", v), source) if embedded else source
    g = per_position(lambda v: linear(weights, "g", v), source)
    if subsample == "after":
        phi, g = max_pool(phi), max_pool(g)
    return theta, phi, g


def row(
    weights: dict[str, Tensor],
    theta: Tensor,
    phi: Tensor,
    i: tuple[int, ...],
    pairwise: str,
    scale: float,
    sees=lambda i, j: True,
) -> dict[tuple[int, ...], Tensor]:
    """f(x_i, x_j) / C(x) of Eq. 1, for each key j that i sees."""
    f = {
        j: pair(
            pairwise,
            theta[(slice(None), *i)],
            phi[(slice(None), *j)],
            scale,
            weights.get("w_f"),
        )
        for j in positions(phi)
        if sees(i, j)
    }
    normalizer = sum(f.values()) if pairwise in ("gaussian", "embedded_gaussian") else len(f)
    return {j: value / normalizer for j, value in f.items()}


def respond(weights, theta, phi, g, pairwise: str, scale: float, sees=lambda i, j: True) -> Tensor:
    """y of Eq. 1 over the keys that each position sees."""
    columns = []
    for i in positions(theta):
        f = row(weights, theta, phi, i, pairwise, scale, sees)
        columns.append(sum(w * g[(slice(None), *j)] for j, w in f.items()))
    return torch.stack(columns, dim=1).reshape(-1, *theta.shape[1:])


def response(weights: dict[str, Tensor], x: Tensor, pairwise: str, subsample: str, scale: float):
    """y of Eq. 1 for x (C, *S)."""
    return respond(weights, *embed(weights, x, pairwise, subsample), pairwise, scale)


def response_in_regions(weights, x: Tensor, pairwise, subsample, scale: float, regions):
    """First within each region, then between the positions at the same place of all regions."""
    theta, phi, g = embed(weights, x, pairwise, subsample)
    whole_phi = embed(weights, x, pairwise, "none")[1]
    key_side = [math.ceil(size / count) for size, count in zip(phi.shape[1:], regions, strict=True)]
    pool = [math.ceil(s / k) for s, k in zip(x.shape[1:], phi.shape[1:], strict=True)]
    side = [k * p for k, p in zip(key_side, pool, strict=True)]

    def same_region(i, j):
        return [a // s for a, s in zip(i, side, strict=True)] == [
            b // s for b, s in zip(j, key_side, strict=True)
        ]

    def same_place(i, k):  # the last position of a region stands for the places that it lacks
        return all(
            b == min(b // s * s + a % s, size - 1)
            for a, b, s, size in zip(i, k, side, x.shape[1:], strict=True)
        )

    y = respond(weights, theta, phi, g, pairwise, scale, same_region)
    return respond(weights, theta, whole_phi, y, pairwise, scale, same_place)


def block(weights: dict[str, Tensor], x: Tensor, pairwise: str, subsample: str, scale: float):
    """z of Eq. 6, without a norm: W_z y + x."""
    y = response(weights, x, pairwise, subsample, scale)
    return per_position(lambda v: linear(weights, "w_z", v), y) + x
