"""What a load has done to each tensor of a model, in a table."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch import nn

from nonlocal_det.layers import nonlocal_blocks

from .errors import CheckpointError

Shape = tuple[int, ...]
Mismatch = tuple[str, Shape, Shape]
_KINDS = ("matched", "missing", "mismatched", "unexpected")
_SHOWN = 20  # modules of a kind that are named
_FIRST = 5  # names of a kind in one sentence


@dataclass(frozen=True)
class LoadReport:
    """Which tensors came out of a file.

    Args:
        source: the file.
        matched: names of the model's tensors that now have the file's values.
        missing: the model's, not in the file, so they keep their values.
        expected: of ``missing``, those that start as if they were not there: whole non-local
            blocks (a baseline's file in its twin), offsets that start at 0; and
            what batch norms fill in themselves for older files.
        mismatched: in both, with the file's shape and the model's: not loaded.
        unexpected: the file's, not in the model.
        inflated: of ``matched``, the 3D kernels that were made of the file's 2D ones.
    """

    source: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    expected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    unexpected: tuple[str, ...]
    inflated: tuple[str, ...] = ()

    @property
    def unmatched(self) -> list[str]:
        """The model's tensors that are not as in the file, and should be."""
        expected = set(self.expected)
        shapes = [name for name, _, _ in self.mismatched]
        return [name for name in self.missing if name not in expected] + shapes

    @property
    def unmatched_backbone(self) -> list[str]:
        """Those of the pre-trained part: ``backbone.bottom_up``, else ``backbone``."""
        names = (*self.matched, *self.missing, *(name for name, _, _ in self.mismatched))
        inner = any(name.startswith("backbone.bottom_up.") for name in names)
        prefix = "backbone.bottom_up." if inner else "backbone."
        return [name for name in self.unmatched if name.startswith(prefix)]

    def fits(self) -> bool:
        """Tell whether file and model have the same tensors; counters of older files may lack."""
        missing = [name for name in self.missing if not name.endswith(".num_batches_tracked")]
        return not (missing or self.mismatched or self.unexpected)

    def __str__(self) -> str:
        """A row for each part of the model, a column for each kind, and the names."""
        names = {
            "matched": self.matched,
            "missing": self.missing,
            "mismatched": tuple(name for name, _, _ in self.mismatched),
            "unexpected": self.unexpected,
        }
        counts = {kind: Counter(map(_part, names[kind])) for kind in _KINDS}
        parts = sorted(set().union(*counts.values()))
        rows = [[part, *(counts[kind][part] for kind in _KINDS)] for part in parts]
        rows.append(["all", *(len(names[kind]) for kind in _KINDS)])
        lines = [self.source, tabulate(rows, headers=["tensors of", *_KINDS], tablefmt="github")]
        return "\n".join(lines + self.details())

    def details(self) -> list[str]:
        """A line for each kind of misfit, with the names."""
        unexplained = [name for name in self.missing if name not in set(self.expected)]
        return [
            *_line("inflated, w / T in each of T planes of a 3D kernel", self.inflated),
            *_line("missing, as expected", self.expected),
            *_line("missing, so left as they were", unexplained),
            *(
                f"mismatched, so left as it was: {name}: {file} in the file, {model} in the model"
                for name, file, model in self.mismatched[:_SHOWN]
            ),
            *_line("unexpected, so not used", self.unexpected),
        ]

    def difference(self) -> str:
        """How many tensors differ, and the first five names of each kind, in one sentence."""
        kinds = {
            "missing in the file": self.missing,
            "of another shape": [f"{n} {file} for {model}" for n, file, model in self.mismatched],
            "of no use to the model": self.unexpected,
        }
        return "; ".join(
            f"{len(names)} {kind}: {', '.join(names[:_FIRST])}{', ...' * (len(names) > _FIRST)}"
            for kind, names in kinds.items()
            if names
        )


def expected_missing(model: nn.Module, missing: Iterable[str]) -> list[str]:
    """Of the missing names, those that an older or a baseline's file need not have.

    A non-local block of which a part is missing is not expected: the file has had such a block.
    """
    gone = list(missing)
    whole = []
    for name, block in nonlocal_blocks(model).items():
        own = {f"{name}.{key}" for key in block.state_dict()}
        if own <= set(gone):
            whole.append(f"{name}.")
    return [
        name
        for name in gone
        if name.startswith(tuple(whole))
        or ".conv2_offset." in name  # Detectron2 starts them at 0: an ordinary convolution
        or name.endswith(".num_batches_tracked")
    ]


def _part(name: str) -> str:
    """``backbone.bottom_up.res4`` of a backbone's tensor, two words of any other."""
    words = name.split(".")[:-1] or [name]
    return ".".join(words[: 3 if words[:2] == ["backbone", "bottom_up"] else 2])


def _line(title: str, names: Iterable[str]) -> list[str]:
    """One line with the names grouped by module: ``a.b.{bias, weight}``; none without names."""
    groups: dict[str, list[str]] = {}
    for name in names:
        module, _, leaf = name.rpartition(".")
        groups.setdefault(module, []).append(leaf)
    if not groups:
        return []
    words = []
    for module, leaves in list(groups.items())[:_SHOWN]:
        leaf = leaves[0] if len(leaves) == 1 else "{" + ", ".join(sorted(leaves)) + "}"
        words.append(f"{module}.{leaf}" if module else leaf)
    more = f", and {len(groups) - _SHOWN} modules more" if len(groups) > _SHOWN else ""
    return [f"{title}: {', '.join(words)}{more}"]


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
    model: nn.Module,
    source: str,
    found: Any,
    names: Iterable[str],
    inflated: Iterable[str] = (),
) -> LoadReport:
    """Describe a load.

    Args:
        model: as it is now.
        source: the file.
        found: fvcore's ``missing_keys``, ``unexpected_keys`` and ``incorrect_shapes``.
        names: of the file's tensors, as they were matched with the model's.
        inflated: those of them that were 2D kernels in the file.
    """
    wanted = list(model.state_dict())
    shaped = {name for name, _, _ in found.incorrect_shapes}
    missing = [one for one in _without_aliases(model, found.missing_keys) if one not in shaped]
    lost = {*found.missing_keys, *shaped}
    # what layers fill in themselves for older files: FrozenBN its statistics, BN its counter
    absent = set(wanted) - set(names) - lost
    filled = _without_aliases(model, [name for name in wanted if name in absent])
    return LoadReport(
        source=source,
        matched=tuple(name for name in wanted if name not in {*lost, *filled}),
        missing=(*missing, *filled),
        expected=(*expected_missing(model, missing), *filled),
        mismatched=tuple(found.incorrect_shapes),
        unexpected=tuple(found.unexpected_keys),
        inflated=tuple(inflated),
    )


def _without_aliases(model: nn.Module, missing: list[str]) -> list[str]:
    """Without the names of tensors that came under another name that they have."""
    names = model.state_dict(keep_vars=True)
    there = {id(value) for name, value in names.items() if name not in set(missing)}
    return [name for name in missing if id(names.get(name)) not in there]
