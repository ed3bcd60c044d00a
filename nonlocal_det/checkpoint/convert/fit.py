"""Whether converted weights compute in a model what they did where they come from."""

import re
from collections.abc import Mapping
from functools import reduce

from detectron2.config import CfgNode
from torch import Tensor, nn

from nonlocal_det.layers import (
    GlobalContextBlock,
    InsertedBlock,
    NonLocalBlock,
    PerPositionBlock,
    nonlocal_blocks,
)

from .conversion import BLOCK, Conversion, State, listed, setting

# what older files of Detectron2's zoo have and no model of today loads
_BUFFERS = re.compile(r"^pixel_(mean|std)$|\.cell_anchors\.\d+$|\.num_batches_tracked$")


def check_fit(conversion: Conversion, model: nn.Module, cfg: CfgNode | None = None) -> None:
    """Refuse a model in which the same weights are another function.

    Args:
        conversion: of another project's file.
        model: one of ours.
        cfg: its config, for what no tensor tells of a network for clips.

    Raises:
        ValueError: its blocks are at other places, have other options, tensors have other names or
            shapes, or a key has another value; says which and what to set.
    """
    blocks = nonlocal_blocks(model)
    places = sorted({found[0] for name in conversion.state if (found := BLOCK.match(name))})
    wanted = model.state_dict()
    if conversion.video:  # all of the network; a block that the file has not stays the identity
        others = tuple(f"{name}." for name in blocks if name not in places)
        wanted = {name: value for name, value in wanted.items() if not name.startswith(others)}
    else:
        wanted = {name: value for name, value in wanted.items() if name in conversion.state}
    cures = _cures(conversion.video, cfg) if cfg is not None else ""
    if not set(places) <= set(blocks):
        raise ValueError(
            f"the file has its blocks at {listed(places)}, the model at "
            f"{listed(sorted(blocks)) or 'no place'}: at another position the same weights are "
            f"another function; set {_override(conversion, 'AFTER_BLOCKS')}{cures}"
        )
    for name in places:
        for key, value in _options_of(blocks[name]).items():
            if key in conversion.options and conversion.options[key] != value:
                raise ValueError(
                    f"the file's blocks have {key}={conversion.options[key]!r}, the model's "
                    f"{name} has {value!r}; set {_override(conversion, key)}{cures}"
                )
    check_same(conversion.state, wanted, "this one", cures)
    if cures:
        raise ValueError(f"with this config the same weights are another function{cures}")


def block_norm(model: nn.Module) -> str:
    """Return ``Choices.norm`` as the blocks of a model have it; folded where there are none."""
    norms = {_options_of(block).get("NORM", "") for block in nonlocal_blocks(model).values()}
    return "BN" if norms == {"BN"} else ""


def check_same(found: State, wanted: Mapping[str, Tensor], model: str, cures: str = "") -> None:
    """Refuse tensors of another model.

    Args:
        found: a file's.
        wanted: the model's.
        model: in words.
        cures: the end of the message.

    Raises:
        ValueError: a name or a shape differs; says how many, and the first five.
    """
    missing = [name for name in wanted if name not in found and not _BUFFERS.search(name)]
    extra = [name for name in found if name not in wanted and not _BUFFERS.search(name)]
    shapes = [
        f"{name} {tuple(found[name].shape)} for {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in found and found[name].shape != value.shape
    ]
    kinds = (("missing", missing), ("left over", extra), ("of another shape", shapes))
    said = [f"{len(names)} {kind}: {listed(names)}" for kind, names in kinds if names]
    if said:
        raise ValueError(f"the file is of another model than {model}: {'; '.join(said)}{cures}")


def _cures(video: Mapping[str, tuple[object, ...]], cfg: CfgNode) -> str:
    """The keys that have another value than the file's network, as settings to add."""
    wrong = [
        setting(key, values)
        for key, values in video.items()
        if reduce(getattr, key.split("."), cfg) not in values
    ]
    return f"; set {' '.join(wrong)}" if wrong else ""


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
