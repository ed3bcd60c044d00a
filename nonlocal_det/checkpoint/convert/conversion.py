"""What a conversion needs to be told, what a project's files are like, and what came of one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tabulate import tabulate
from torch import Tensor

State = Mapping[str, Tensor]
TORCH_FIELDS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
BLOCK = re.compile(r"^(?:.+\.)?nl\d+(?=\.)")
"""Matches the name of a tensor of one of our blocks, up to the block's own."""

_SHOWN = 5  # names of a list in a message


@dataclass(frozen=True)
class Choices:
    """What the names and shapes of a file do not say, and what is wanted of the result.

    Args:
        pairwise: the function, where it is not the project's usual one.
        subsample: where the keys are pooled, likewise.
        scale: whether theta . phi is scaled, likewise.
        norm: of the result's blocks: ``""``, the norm folded into w_z, or ``"BN"``.
        ndim: dimensions of the result's maps.
        places: from the name of a module in the file to that of a block of ours, full and without
            a dot at its end; overrides where the project's own names put it.
        prefix: of the result's backbone.
    """

    pairwise: str | None = None
    subsample: str | None = None
    scale: bool | None = None
    norm: str = ""
    ndim: int = 2
    places: Mapping[str, str] = field(default_factory=dict)
    prefix: str = "backbone.bottom_up."


@dataclass(frozen=True)
class Source:
    """The names of a project's files, and what its networks compute.

    Args:
        project: its name in messages.
        layers: from the names of its block's layers to ours.
        modules: from patterns of its modules' names to ours, without our backbone's prefix: of
            convolutions, norms, the linear layer, and of blocks where they follow a residual block;
            ``{stage}``, ``{block}`` and the like are groups of the pattern.
        misplaced: why a block elsewhere has no place in our backbone; ``{module}`` is its name.
        front: a pattern of what may stand before every name.
        first_stage: its number of res2.
        signature: our name of the layer without which a module is no block.
        required: our names of what a block must have.
        fields: from the end of a tensor's name to torch's.
        separator: between the words of a name.
        subsample: the usual pooling; None: the names say whether phi and g are pooled.
        pooled: its layers that only a pooled block has.
        scale: whether theta . phi under a softmax is divided by the root of its width.
        stems: of its video networks, by the dimensions of its kernels: names of `STEMS`.
        video: what else a config of its video networks must say, by key.
        windows: ``MODEL.VIDEO.WINDOW`` of its blocks among affine layers instead of norms.
        notes: what no file of the project can say and a user must know.
    """

    project: str
    layers: Mapping[str, str]
    modules: Mapping[str, str]
    misplaced: str
    front: str = ""
    first_stage: int = 2
    signature: str = "g"
    required: tuple[str, ...] = ("g", "w_z")
    fields: Mapping[str, str] = field(
        default_factory=lambda: {name: name for name in TORCH_FIELDS},
    )
    separator: str = "."
    subsample: str | None = "none"
    pooled: tuple[str, ...] = ()
    scale: bool = False
    stems: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    video: Mapping[str, object] = field(default_factory=dict)
    windows: tuple[int, int, int, int] = (0, 0, 0, 0)
    notes: tuple[str, ...] = ()

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches a tensor of a block: ``place``, ``layer`` and ``field``."""
        dot = re.escape(self.separator)
        layers, fields = ("|".join(map(re.escape, names)) for names in (self.layers, self.fields))
        return re.compile(rf"^(?:(?P<place>.+){dot})?(?P<layer>{layers}){dot}(?P<field>{fields})$")

    def module(self, name: str) -> str | None:
        """Give our name of a module, as ``res4.5.conv1`` or ``res4.nl5``; None: there is none."""
        for pattern, ours in self.modules.items():
            found = re.fullmatch(self.front + pattern, name)
            if found is not None:
                words: dict[str, Any] = found.groupdict()
                if "stage" in words:
                    words["stage"] = int(words["stage"]) + 2 - self.first_stage
                return ours.format(**words)
        return None

    def tensor(self, name: str) -> str | None:
        """Give our name of a tensor that is of no block, without prefix; None where it has none."""
        module, _, end = name.rpartition(self.separator)
        ours = self.module(module)
        return f"{ours}.{self.fields[end]}" if ours and end in self.fields else None


@dataclass(frozen=True)
class Row:
    """One line of the printed map.

    Args:
        theirs: names in the file; more than one where they became one tensor.
        ours: the name in the result.
        shape: of the result.
        how: what was done beside renaming.
    """

    theirs: str
    ours: str
    shape: tuple[int, ...]
    how: str = ""


@dataclass(frozen=True)
class Conversion:
    """The result: tensors by our names, and how they came about.

    Args:
        state: the tensors.
        rows: the map, in the order of ``state``.
        options: what ``MODEL.NONLOCAL`` must say for the blocks to compute what they did.
        video: of a video network, what else the config must say: by key the values that may fit.
        unused: names of the file that nothing was made of.
        notes: what is not equal, or must be set elsewhere.
    """

    state: dict[str, Tensor]
    rows: tuple[Row, ...]
    options: dict[str, object] = field(default_factory=dict)
    video: dict[str, tuple[object, ...]] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The map, the options as a command line takes them, and the notes."""
        table = tabulate(
            [[row.theirs, row.ours, row.shape, row.how] for row in self.rows],
            headers=["theirs", "ours", "shape", "beside renaming"],
            tablefmt="github",
        )
        lines = [table]
        if self.unused:
            lines.append(f"not used: {listed(self.unused)}")
        needed = {f"MODEL.NONLOCAL.{key}": (value,) for key, value in self.options.items()}
        if needed or self.video:
            pairs = [setting(key, values) for key, values in (needed | self.video).items()]
            lines.append(f"the config must say: {' '.join(pairs)}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def listed(names: tuple[str, ...] | list[str]) -> str:
    """The first names, and how many more."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def setting(key: str, values: tuple[object, ...]) -> str:
    """A key and its value as a command line takes them, and other values that may be the file's."""
    others = "".join(f' (or "{value}")' for value in values[1:])
    return f'{key} "{values[0]}"{others}'
