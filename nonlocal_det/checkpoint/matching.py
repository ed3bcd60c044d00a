"""From what Detectron2's loading says to what became of each tensor."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from .errors import CheckpointError
from .report import LoadReport, Mismatch, expected_missing


def as_tensors(state: Any, source: str) -> dict[str, torch.Tensor]:
    """A state dict with torch's tensors for numpy's arrays.

    Args:
        state: changed in place.
        source: named in messages.

    Raises:
        CheckpointError: it holds something else.
    """
    if not isinstance(state, dict):
        raise CheckpointError(f"{source} has a {type(state).__name__} as its model")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray | torch.Tensor):
            raise CheckpointError(
                f"{source} is no file of tensors by name: {name!r:.80} is a {type(value).__name__}"
            )
        if isinstance(value, np.ndarray):
            state[name] = torch.from_numpy(value)
    return state


def describe_load(
    model: nn.Module, source: str, found: Any, shapes: Mapping[str, tuple[int, ...]]
) -> LoadReport:
    """The report of a load.

    Args:
        model: as it is now.
        source: the file.
        found: fvcore's ``missing_keys``, ``unexpected_keys`` and ``incorrect_shapes``.
        shapes: of the file's tensors, mismatched ones aside, by the names that it has for the
            model.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wrong: list[Mismatch] = list(found.incorrect_shapes)
    shaped = {name for name, _, _ in wrong}
    missing = [one for one in _without_aliases(model, found.missing_keys) if one not in shaped]
    unexpected = []
    for name in found.unexpected_keys:
        # what name matching has left over because of its shape
        owner = next((one for one in missing if f".{one}".endswith(f".{name}")), None)
        if owner is None:
            unexpected.append(name)
        else:
            missing.remove(owner)
            wrong.append((owner, shapes[name], wanted[owner]))
    lost = {*found.missing_keys, *(name for name, _, _ in wrong)}
    # what layers fill in themselves for older files: FrozenBN its statistics, BN its counter
    filled = _without_aliases(model, [n for n in wanted if n not in shapes and n not in lost])
    return LoadReport(
        source=source,
        matched=tuple(name for name in wanted if name not in {*lost, *filled}),
        missing=(*missing, *filled),
        expected=(*expected_missing(model, missing), *filled),
        mismatched=tuple(wrong),
        unexpected=tuple(unexpected),
    )


def _without_aliases(model: nn.Module, missing: list[str]) -> list[str]:
    """Without the names of tensors that came under another name that they have."""
    names = model.state_dict(keep_vars=True)
    there = {id(value) for name, value in names.items() if name not in set(missing)}
    return [name for name in missing if id(names.get(name)) not in there]
