"""From a baseline's weights to its non-local twin's, and back where no block has learnt."""

from torch import nn

from nonlocal_det.layers import nonlocal_blocks

from .conversion import BLOCK, Conversion, Row, State, listed
from .fit import check_same


def to_twin(baseline: State, twin: nn.Module) -> Conversion:
    """The baseline's tensors with the twin's blocks, which are still the identity.

    The result computes what the baseline does, bit for bit, until it is trained.

    Args:
        baseline: all tensors of a model of Detectron2's zoo, or of a baseline of ours.
        twin: the non-local model, as it was built.

    Raises:
        ValueError: the twin has no block or one that has learnt, or the baseline is of another
            model; says what differs.
    """
    blocks = nonlocal_blocks(twin)
    if not blocks:
        raise ValueError("the twin has no non-local block; give the config of a non-local model")
    learnt = [
        name
        for name, block in blocks.items()
        if any(p.any() for p in block.zero_init_layer.parameters())
    ]
    if learnt:
        raise ValueError(f"{listed(learnt)} of the twin has learnt: it is no identity any more")
    wanted = twin.state_dict()
    own = {name for name in wanted if name.startswith(tuple(f"{block}." for block in blocks))}
    check_same(baseline, {n: value for n, value in wanted.items() if n not in own}, "the twin")
    state, rows = {}, []
    for name, value in wanted.items():
        if name in baseline:
            state[name] = baseline[name]
            rows.append(Row(name, name, tuple(value.shape)))
        elif name in own:
            state[name] = value
            rows.append(Row("", name, tuple(value.shape), "new: the identity"))
    unused = tuple(name for name in baseline if name not in wanted)
    return Conversion(state, tuple(rows), unused=unused)


def to_baseline(state: State, *, drop_learnt: bool = False) -> Conversion:
    """The same tensors without those of non-local blocks.

    Args:
        state: all tensors of a non-local model of ours.
        drop_learnt: also if a block has learnt; the result is then another function.

    Raises:
        ValueError: there is no block, or one has learnt.
    """
    names = {name: BLOCK.match(name) for name in state}
    blocks = {found[0] for found in names.values() if found}
    if not blocks:
        raise ValueError("no tensor is of a non-local block (nl<k>): this is a baseline already")
    learnt = [block for block in sorted(blocks) if _has_learnt(state, block)]
    if learnt and not drop_learnt:
        raise ValueError(
            f"{listed(learnt)} has learnt: without it the model is another function; convert with "
            "--drop-learnt to have it all the same"
        )
    kept = {name: value for name, value in state.items() if not names[name]}
    rows = tuple(Row(name, name, tuple(value.shape)) for name, value in kept.items())
    notes = (f"{listed(learnt)} had learnt: the result is another function",) if learnt else ()
    return Conversion(kept, rows, unused=tuple(n for n in state if names[n]), notes=notes)


def _has_learnt(state: State, block: str) -> bool:
    for gate in ("norm", "w_v2", "w_z"):  # where there is a norm after w_z, it is the gate
        if gate == "norm" and f"{block}.w_v2.weight" in state:
            continue
        own = [
            state[f"{block}.{gate}.{end}"]
            for end in ("weight", "bias")
            if f"{block}.{gate}.{end}" in state
        ]
        if own:
            return any(bool(tensor.any()) for tensor in own)
    return True
