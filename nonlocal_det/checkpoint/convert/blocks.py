"""One block of another project, layer by layer, as tensors of ours."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nonlocal_det.layers import PAIRWISE, SUBSAMPLE
from nonlocal_det.layers.options import one_of

from .conversion import Choices, Row, Source

EPS = 1e-5  # of the batch norms of every project here, and of Detectron2's


@dataclass
class Block:
    """What a file has of a block.

    Args:
        place: the module's name in the file.
        tensors: by our layer and torch's field.
        names: the file's names of them.
        pooled: whether one of the layers is there in pooled blocks alone.
    """

    place: str
    tensors: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    pooled: bool = False

    def has(self, layer: str) -> bool:
        """Whether any tensor is of our layer of this name."""
        return any(name == layer for name, _ in self.tensors)

    def of(self, *layers: str) -> str:
        """The file's names of some layers' tensors, for the map: ``a.{b.weight, b.bias}``."""
        names = [name for (layer, _), name in self.names.items() if layer in layers]
        if len(names) < 2:
            return ", ".join(names)
        start = len(self.place) + 1 if self.place else 0
        return f"{names[0][:start]}{{{', '.join(name[start:] for name in names)}}}"


def nonlocal_tensors(
    block: Block, ours: str, source: Source, choices: Choices
) -> tuple[dict[str, Tensor], list[Row], dict[str, object]]:
    """The tensors of `NonLocalBlock`, their rows of the map, and the options they need.

    Args:
        block: what the file has.
        ours: full name of our block, ``""`` for none.
        source: the project.
        choices: as `Choices` says.

    Raises:
        ValueError: a choice contradicts the names, or the block cannot be one of ours.
    """
    pairwise = _pairwise(block, choices)
    inner, width = block.tensors["g", "weight"].shape[:2]
    scaled = _scaled(pairwise, source, choices)
    made: dict[str, Tensor] = {}
    rows: list[Row] = []
    for layer in ("theta", "phi", "g"):
        if not block.has(layer):
            continue  # the gaussian form has neither theta nor phi
        weight, bias = _convolution(block, layer, choices.ndim)
        made |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
        rows += _rows(block, layer, made)
    if pairwise == "concatenation":
        made["w_f"] = block.tensors["w_f", "weight"].reshape(-1)  # (1, 2 Ci, 1, 1) -> (2 Ci)
        rows.append(Row(block.of("w_f"), "w_f", tuple(made["w_f"].shape), "flat"))
    output, how = _output(block, choices)
    made |= output
    theirs = block.of("w_z", "norm")
    rows += [Row(theirs, name, tuple(value.shape), how) for name, value in output.items()]
    options: dict[str, object] = {
        "OPERATION": "nonlocal",
        "PAIRWISE": pairwise,
        "SUBSAMPLE": _subsample(block, source, choices),
        "SCALE": scaled,
        "NORM": choices.norm,
        "BOTTLENECK_RATIO": inner / width,
    }
    dot = f"{ours}." if ours else ""
    named = {dot + name: value for name, value in made.items()}
    return named, [Row(r.theirs, dot + r.ours, r.shape, r.how) for r in rows], options


def _pairwise(block: Block, choices: Choices) -> str:
    seen = None
    if block.has("w_f"):
        seen = "concatenation"
    elif not block.has("theta"):
        seen = "gaussian"
    chosen = one_of("pairwise", choices.pairwise or seen or "embedded_gaussian", PAIRWISE)
    if (seen or chosen) != chosen or (not seen and chosen in ("gaussian", "concatenation")):
        kind = seen or "one with theta and phi and without concatenation weights"
        raise ValueError(
            f"pairwise={chosen!r}, but the block {block.place or 'of the file'} is {kind}; leave "
            "the choice out"
        )
    return chosen


def _scaled(pairwise: str, source: Source, choices: Choices) -> bool:
    """Whether theta . phi is divided by the root of its width."""
    usual = source.scale and pairwise == "embedded_gaussian"
    scaled = usual if choices.scale is None else choices.scale
    if scaled and pairwise == "concatenation":
        raise ValueError("scale=True with pairwise='concatenation', which has no product to scale")
    return scaled


def _subsample(block: Block, source: Source, choices: Choices) -> str:
    seen = None
    if source.subsample is None:
        seen = "after" if block.pooled else "none"
    usual = seen or source.subsample or "none"
    chosen = one_of("subsample", choices.subsample or usual, SUBSAMPLE)
    if seen and chosen != seen:
        raise ValueError(
            f"subsample={chosen!r}, but by its names {block.place or 'the block'} has "
            f"subsample={seen!r}; leave the choice out"
        )
    return chosen


def pointwise(weight: Tensor, name: str, ndim: int) -> Tensor:
    """A 1x1 convolution's weight for maps of other dimensions.

    Shape:
        (O, I, 1, ...) -> (O, I, *1) with ``ndim`` ones.

    Raises:
        ValueError: its window has more than one position.
    """
    if weight.dim() < 2 or weight.shape[2:].numel() != 1:
        raise ValueError(
            f"{name} has shape {tuple(weight.shape)}; a block's convolutions have windows of one "
            "position: this is no non-local block"
        )
    return weight.reshape(*weight.shape[:2], *[1] * ndim)


def _convolution(block: Block, layer: str, ndim: int) -> tuple[Tensor, Tensor]:
    weight = pointwise(block.tensors[layer, "weight"], block.names[layer, "weight"], ndim)
    bias = block.tensors.get((layer, "bias"))
    return weight, weight.new_zeros(weight.shape[0]) if bias is None else bias


def _rows(block: Block, layer: str, made: dict[str, Tensor]) -> list[Row]:
    rows = []
    for name in ("weight", "bias"):
        ours = f"{layer}.{name}"
        theirs = block.names.get((layer, name), "")
        rows.append(Row(theirs, ours, tuple(made[ours].shape), "" if theirs else "absent, so 0"))
    return rows


def _output(block: Block, choices: Choices) -> tuple[dict[str, Tensor], str]:
    """w_z, with the norm folded into it or beside it; and what was done, in a few words."""
    weight, bias = _convolution(block, "w_z", choices.ndim)
    norm = {name: value for (layer, name), value in block.tensors.items() if layer == "norm"}
    if one_of("norm", choices.norm, ("", "BN")) == "":
        if not norm:
            return {"w_z.weight": weight, "w_z.bias": bias}, ""
        how = "batch norm folded in" if "running_var" in norm else "affine layer folded in"
        return _folded(weight, bias, norm), how
    if "running_var" not in norm:
        kind = "an affine layer" if norm else "no norm"
        raise ValueError(
            f"norm='BN', but {block.place or 'the block'} has {kind} after w_z and no statistics; "
            'set MODEL.NONLOCAL.NORM "", or leave the choice out: the layer is then part of w_z'
        )
    # the norm takes a mean away, so the bias before it is one less of that mean
    kept = {"weight": norm["weight"], "bias": norm["bias"]}
    kept["running_mean"] = norm["running_mean"] - bias
    kept["running_var"] = norm["running_var"]
    kept["num_batches_tracked"] = norm.get("num_batches_tracked", torch.tensor(0))
    how = "w_z's bias into the mean" if ("w_z", "bias") in block.tensors else ""
    return {"w_z.weight": weight, **{f"norm.{name}": value for name, value in kept.items()}}, how


def _folded(weight: Tensor, bias: Tensor, norm: dict[str, Tensor]) -> dict[str, Tensor]:
    """``scale (w y + b - mean) / sqrt(var + eps) + shift`` as one convolution."""
    factor = norm["weight"].double()
    shift = norm["bias"].double()
    if "running_var" in norm:
        factor = factor / (norm["running_var"].double() + EPS).sqrt()
        shift = shift - norm["running_mean"].double() * factor
    by_output = factor.reshape(-1, *[1] * (weight.dim() - 1))  # (C) -> (C, 1, *1)
    return {
        "w_z.weight": (weight.double() * by_output).to(weight.dtype),
        "w_z.bias": (bias.double() * factor + shift).to(bias.dtype),
    }


def context_tensors(
    block: Block, ours: str, source: Source, choices: Choices
) -> tuple[dict[str, Tensor], list[Row], dict[str, object]]:
    """The tensors of `GlobalContextBlock`, their rows of the map, and the options they need.

    Args:
        block: what the file has.
        ours: full name of our block, ``""`` for none.
        source: the project.
        choices: ``ndim`` counts.

    Raises:
        ValueError: a convolution has a window.
    """
    dot = f"{ours}." if ours else ""
    made: dict[str, Tensor] = {}
    rows: list[Row] = []
    for (layer, name), tensor in block.tensors.items():
        theirs, value, how = block.names[layer, name], tensor, ""
        if layer == "w_k" and name == "weight":
            value = pointwise(tensor, theirs, choices.ndim)
        elif layer == "norm":
            value = tensor.reshape(-1)  # (Ci, 1, 1) -> (Ci)
            how = "flat"
        elif name == "weight":
            value = pointwise(tensor, theirs, 0)  # (O, I, 1, 1) -> (O, I)
            how = "convolution to linear layer"
        made[f"{dot}{layer}.{name}"] = value
        rows.append(Row(theirs, f"{dot}{layer}.{name}", tuple(value.shape), how))
    inner, width = block.tensors["w_v1", "weight"].shape[:2]
    return made, rows, {"OPERATION": "global_context", "BOTTLENECK_RATIO": inner / width}
