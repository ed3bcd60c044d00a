"""Whether converted weights compute in a model what they did where they come from."""

from torch import nn

from nonlocal_det.layers import (
    GlobalContextBlock,
    InsertedBlock,
    NonLocalBlock,
    PerPositionBlock,
    nonlocal_blocks,
)

from .conversion import BLOCK, Conversion, listed


def check_fit(conversion: Conversion, model: nn.Module) -> None:
    """Refuse a model in which the same weights are another function.

    Args:
        conversion: of another project's file.
        model: one of ours.

    Raises:
        ValueError: its blocks are at other places, have other options, or tensors other shapes;
            says which and what to set.
    """
    blocks = nonlocal_blocks(model)
    wanted = model.state_dict()
    strange = [name for name in conversion.state if name not in wanted]
    places = sorted({found[0] for name in conversion.state if (found := BLOCK.match(name))})
    if not set(places) <= set(blocks):  # a block that the file has not stays the identity
        raise ValueError(
            f"the file has its blocks at {listed(places)}, the model at "
            f"{listed(sorted(blocks)) or 'no place'}: at another position the same weights are "
            f"another function; set {_override(conversion, 'AFTER_BLOCKS')}"
        )
    for name in places:
        for key, value in _options_of(blocks[name]).items():
            if key in conversion.options and conversion.options[key] != value:
                raise ValueError(
                    f"the file's blocks have {key}={conversion.options[key]!r}, the model's "
                    f"{name} has {value!r}; set {_override(conversion, key)}"
                )
    shapes = [
        f"{name} {tuple(value.shape)} for {tuple(wanted[name].shape)}"
        for name, value in conversion.state.items()
        if name in wanted and wanted[name].shape != value.shape
    ]
    if strange or shapes:
        said = [f"not in it: {listed(strange)}"] if strange else []
        said += [f"of another shape: {listed(shapes)}"] if shapes else []
        raise ValueError(f"the file is of another model: {'; '.join(said)}")


def _override(conversion: Conversion, key: str) -> str:
    return f'MODEL.NONLOCAL.{key} "{conversion.options.get(key, "as the map says")}"'


def _options_of(block: InsertedBlock) -> dict[str, object]:
    if isinstance(block, GlobalContextBlock):
        return {"OPERATION": "global_context"}
    if isinstance(block, PerPositionBlock) or not isinstance(block, NonLocalBlock):
        return {"OPERATION": type(block).__name__}
    return {
        "OPERATION": "nonlocal",
        "PAIRWISE": block.pairwise,
        "SUBSAMPLE": block.subsample,
        "SCALE": block.scale,
        "NORM": "" if isinstance(block.norm, nn.Identity) else "BN",
    }
