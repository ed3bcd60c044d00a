"""From a dictionary of another project's names to one of ours: a pure function."""

import torch
from torch import Tensor

from nonlocal_det.layers.options import one_of

from .blocks import EPS, Block, context_tensors, nonlocal_tensors
from .conversion import Choices, Conversion, Row, Source, State, listed
from .sources import SOURCES


def convert_state(state: State, source: str, choices: Choices | None = None) -> Conversion:
    """Give the tensors of another project's file our names, shapes and scale.

    A block keeps its function: what the project computes from these weights, `NonLocalBlock` with
    the returned options computes from the converted ones, in evaluation. For maps of 3 dimensions
    the whole network does, with its linear layer, and a baseline without blocks is one too.

    Args:
        state: tensors by the project's names; not changed.
        source: one of `SOURCES`.
        choices: what the names do not say.

    Returns:
        The tensors, the map, the options, what was left over and what to know.

    Raises:
        ValueError: no block in the file, one that is another function than ours, a choice that
            contradicts the names, or of a network for clips a tensor that ours has not.
    """
    spec = SOURCES[one_of("source", source, SOURCES)]
    choices = choices or Choices()
    blocks, rest = find_blocks(state, spec)
    whole = choices.ndim == 3 and bool(spec.stems) and any(map(spec.tensor, rest))
    if not blocks and not whole:
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
    used, lines, unused = _network(rest, spec, choices)
    if whole and unused:
        raise ValueError(
            f"{len(unused)} tensors have no place in a C2D or I3D of one pathway: {listed(unused)}"
        )
    return Conversion(
        state=made | used,
        rows=tuple(rows + lines),
        options=options | _after_blocks(positions) if blocks else {},
        video=_video_config(used, rest, spec, bool(blocks), choices.prefix) if whole else {},
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
    hint = "is it a baseline? one for clips takes the --config-file of a video model"
    if others:
        hint = f"they look like those of {' or '.join(others)}"
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
    ours = source.module(block.place)
    if ours is None:
        place = block.place or "."
        raise ValueError(source.misplaced.format(module=block.place or "of the file", place=place))
    return choices.prefix + ours


def _after_blocks(positions: list[str]) -> dict[str, object]:
    """``AFTER_BLOCKS`` where all blocks are in a backbone's stages."""
    found: list[list[int]] = [[], [], [], []]
    for position in positions:
        *_, stage, name = ["", "", *position.split(".")]
        if not (stage in ("res2", "res3", "res4", "res5") and name[2:].isdigit()):
            return {}
        found[int(stage[3]) - 2].append(int(name[2:]))
    return {"AFTER_BLOCKS": [sorted(stage) for stage in found]}


def _network(
    rest: dict[str, Tensor], source: Source, choices: Choices
) -> tuple[dict[str, Tensor], list[Row], list[str]]:
    """The tensors of no block: of the backbone, and in 3D of the linear layer."""
    made: dict[str, Tensor] = {}
    rows, unused = [], []
    for name, tensor in rest.items():
        ours = source.tensor(name)
        if name.endswith("num_batches_tracked"):
            continue  # a frozen norm has none, and a batch norm fills it in
        is_head = ours is not None and ours.startswith("head.")
        if ours is None or (is_head and choices.ndim == 2):
            unused.append(name)
            continue
        if is_head:
            value, how = tensor.flatten(1) if tensor.dim() > 1 else tensor, ""
        else:
            value, how = _reshaped(tensor, name, choices.ndim)
            ours = choices.prefix + ours
        made[ours] = value
        rows.append(Row(name, ours, tuple(value.shape), how))
    for ours in [name for name in made if name.endswith(".norm.weight")]:
        norm = ours.removesuffix("weight")
        if norm + "running_var" not in made:  # affine: a norm whose statistics change nothing
            made[norm + "running_mean"] = torch.zeros_like(made[ours])
            made[norm + "running_var"] = torch.full_like(made[ours], 1 - EPS)
    return made, rows, unused


def _reshaped(weight: Tensor, name: str, ndim: int) -> tuple[Tensor, str]:
    """(O, I, 1, H, W) -> (O, I, H, W), the same on each frame, or back."""
    if weight.dim() == ndim + 2 or weight.dim() < 3:
        return weight, ""
    if (weight.dim(), ndim) == (4, 3):
        return weight.unsqueeze(2), "temporal size 1"
    if weight.dim() != 5 or weight.shape[2] != 1:
        raise ValueError(
            f"{name} has shape {tuple(weight.shape)}: a window of {weight.shape[2]} frames has no "
            f"equal for maps of {ndim} dimensions; convert a C2D network (temporal size 1), or for "
            "clips give the --config-file of a video model"
        )
    return weight.squeeze(2), "temporal size 1 away"


def _video_config(
    made: dict[str, Tensor], rest: dict[str, Tensor], source: Source, blocks: bool, prefix: str
) -> dict[str, tuple[object, ...]]:
    """What the config of a network for clips must say, but for its blocks' options."""
    first = f"{prefix}res2.0.conv"
    times = [made[f"{first}{n}.weight"].shape[2] for n in (1, 2) if f"{first}{n}.weight" in made]
    inflate = "3x1x1" if times[:1] == [3] else "3x3x3" if 3 in times else ""
    dims = max(tensor.dim() for tensor in rest.values())  # of the kernels in the file
    layers = 3 if f"{first}3.weight" in made else 2
    depth = 2 + layers * len([name for name in made if name.endswith(".conv2.weight")])
    found: dict[str, tuple[object, ...]] = {
        "MODEL.RESNETS.DEPTH": (depth,),
        "MODEL.VIDEO.INFLATE": (inflate,),
        "MODEL.VIDEO.STEM": source.stems.get(dims, source.stems[5]),
        **{key: (value,) for key, value in source.video.items()},
    }
    if "head.linear.bias" in made:
        found["MODEL.VIDEO.NUM_CLASSES"] = (len(made["head.linear.bias"]),)
    if blocks:
        ends = {name.rpartition(source.separator)[2] for name in rest}
        affine = not any(source.fields.get(end) == "running_var" for end in ends)
        found["MODEL.VIDEO.WINDOW"] = (list(source.windows if affine else (0, 0, 0, 0)),)
    return found


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
