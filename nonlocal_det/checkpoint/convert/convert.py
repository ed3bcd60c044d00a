"""From a dictionary of another project's names to one of ours: a pure function."""

import torch
from torch import Tensor

from nonlocal_det.layers.options import one_of

from .blocks import EPS, Block, context_tensors, nonlocal_tensors
from .conversion import Choices, Conversion, Row, Source, State, backbone_name, listed
from .sources import SOURCES


def convert_state(state: State, source: str, choices: Choices | None = None) -> Conversion:
    """Give the tensors of another project's file our names, shapes and scale.

    A block keeps its function: what the project computes from these weights, `NonLocalBlock` with
    the returned options computes from the converted ones, in evaluation.

    Args:
        state: tensors by the project's names; not changed.
        source: one of `SOURCES`.
        choices: what the names do not say.

    Returns:
        The tensors, the map, the options, what was left over and what to know.

    Raises:
        ValueError: no block in the file, one that is another function than ours, or a choice that
            contradicts the names.
    """
    spec = SOURCES[one_of("source", source, SOURCES)]
    choices = choices or Choices()
    blocks, rest = find_blocks(state, spec)
    if not blocks:
        raise ValueError(_no_block(state, source, spec))
    _check_places(blocks, choices)
    made: dict[str, Tensor] = {}
    rows: list[Row] = []
    options: dict[str, object] = {}
    positions: list[str] = []
    for block in blocks.values():
        ours = _place(block, spec, choices)
        build = context_tensors if spec.signature == "w_v2" else nonlocal_tensors
        tensors, lines, needed = build(block, ours, spec, choices)
        if options and needed != options:
            raise ValueError(
                f"the blocks differ: {options} and, at {block.place}, {needed}; MODEL.NONLOCAL has "
                "one value for all: convert them apart"
            )
        made, options = made | tensors, needed
        rows += lines
        positions.append(ours)
    used, lines, unused = _backbone(rest, spec, choices)
    return Conversion(
        state=made | used,
        rows=tuple(rows + lines),
        options=options | _after_blocks(positions),
        unused=tuple(unused),
        notes=_notes(blocks, spec, choices),
    )


def find_blocks(state: State, source: Source) -> tuple[dict[str, Block], dict[str, Tensor]]:
    """The blocks of a file by their names in it, and what is of no block.

    Raises:
        ValueError: a block has a tensor that ours has no place for, or lacks one.
    """
    blocks: dict[str, Block] = {}
    for name, tensor in state.items():
        found = source.pattern.match(name)
        if found is None:
            continue
        block = blocks.setdefault(found["place"] or "", Block(found["place"] or ""))
        key = (source.layers[found["layer"]], source.fields[found["field"]])
        block.tensors[key], block.names[key] = tensor, name
        block.pooled |= found["layer"] in source.pooled
    blocks = {place: block for place, block in blocks.items() if block.has(source.signature)}
    taken = {name for block in blocks.values() for name in block.names.values()}
    rest = {name: tensor for name, tensor in state.items() if name not in taken}
    for place, block in blocks.items():
        missing = [layer for layer in source.required if not block.has(layer)]
        start = place + source.separator if place else ""
        extra = [name for name in rest if name.startswith(start)]
        if missing or extra:
            what = f"has {listed(extra)}" if extra else f"lacks our {', '.join(missing)}"
            raise ValueError(
                f"the block {place or 'of the file'} {what}, so by {source.project}'s names it is "
                "another function than this project's block; it cannot be converted"
            )
    return blocks, rest


def _no_block(state: State, source: str, spec: Source) -> str:
    others = [name for name, one in SOURCES.items() if name != source and _has_blocks(state, one)]
    hint = f"they look like those of {' or '.join(others)}" if others else "is it a baseline?"
    return (
        f"no non-local block by the names of {spec.project} among {len(state)} tensors, which "
        f"begin with {listed(list(state))}; {hint}"
    )


def _has_blocks(state: State, source: Source) -> bool:
    try:
        return bool(find_blocks(state, source)[0])
    except ValueError:
        return False


def _check_places(blocks: dict[str, Block], choices: Choices) -> None:
    unknown = [place for place in choices.places if place not in blocks]
    if unknown:
        there = ", ".join(repr(place) for place in blocks)
        raise ValueError(f"places: the file has no block {unknown[0]!r}; it has {there}")


def _place(block: Block, source: Source, choices: Choices) -> str:
    """Full name of our block; a file that is one bare block stays one."""
    if block.place in choices.places:
        return choices.places[block.place]
    if block.place == "":
        return ""
    return choices.prefix + source.place(block.place)


def _after_blocks(positions: list[str]) -> dict[str, object]:
    """``AFTER_BLOCKS`` where all blocks are in a backbone's stages."""
    found: list[list[int]] = [[], [], [], []]
    for position in positions:
        *_, stage, name = ["", "", *position.split(".")]
        if not (stage in ("res2", "res3", "res4", "res5") and name[2:].isdigit()):
            return {}
        found[int(stage[3]) - 2].append(int(name[2:]))
    return {"AFTER_BLOCKS": [sorted(stage) for stage in found]}


def _backbone(
    rest: dict[str, Tensor], source: Source, choices: Choices
) -> tuple[dict[str, Tensor], list[Row], list[str]]:
    made: dict[str, Tensor] = {}
    rows, unused = [], []
    for name, tensor in rest.items():
        ours = backbone_name(name, source)
        if name.endswith("num_batches_tracked"):
            continue  # a frozen norm has none, and a batch norm fills it in
        if ours is None:
            unused.append(name)
            continue
        value, how = _framewise(tensor, name, choices.ndim)
        made[choices.prefix + ours] = value
        rows.append(Row(name, choices.prefix + ours, tuple(value.shape), how))
    for ours in [name for name in made if name.endswith(".norm.weight")]:
        norm = ours.removesuffix("weight")
        if norm + "running_var" not in made:  # affine: a norm whose statistics change nothing
            made[norm + "running_mean"] = torch.zeros_like(made[ours])
            made[norm + "running_var"] = torch.full_like(made[ours], 1 - EPS)
    return made, rows, unused


def _framewise(weight: Tensor, name: str, ndim: int) -> tuple[Tensor, str]:
    """(O, I, 1, H, W) -> (O, I, H, W): the same on each frame."""
    if weight.dim() == ndim + 2 or weight.dim() < 3:
        return weight, ""
    if (weight.dim(), ndim) != (5, 2) or weight.shape[2] != 1:
        raise ValueError(
            f"{name} has shape {tuple(weight.shape)}: a window of {weight.shape[2]} frames has no "
            f"equal for maps of {ndim} dimensions; convert a C2D network (temporal size 1)"
        )
    return weight.squeeze(2), "temporal size 1 away"


def _notes(blocks: dict[str, Block], source: Source, choices: Choices) -> tuple[str, ...]:
    moved = [place for place in blocks if place in choices.places]
    dims = {
        block.tensors[source_key, "weight"].dim() - 2
        for block in blocks.values()
        for source_key in ("g", "w_k")
        if (source_key, "weight") in block.tensors
    }
    notes = list(source.notes)
    if dims != {choices.ndim}:
        notes.append(
            f"blocks of {' and '.join(f'{n}D' for n in sorted(dims))} maps, now {choices.ndim}D: "
            "equal where the other dimensions have size 1"
        )
    if moved:
        notes.append(
            f"{listed(moved)}: at the place given, which may be another function than where "
            f"{source.project} has it (inside a residual block, before its last ReLU)"
        )
    return tuple(notes)
