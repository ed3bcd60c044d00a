"""What a conversion needs to be told, what a project's files are like, and what came of one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
        norm: of the result: ``""``, the norm folded into w_z, or ``"BN"``.
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
    """The names of a project's files, and what its block computes.

    Args:
        project: its name in messages.
        layers: from its layers' names to ours.
        signature: our name of the layer without which a module is no block.
        required: our names of what a block must have.
        place: where a module named so is in our backbone, as ``res4.nl5``.
        backbone: patterns of the other names and what they become; see `backbone_name`.
        fields: from the end of a tensor's name to torch's.
        separator: between the words of a name.
        subsample: the usual pooling; None: the names say whether phi and g are pooled.
        pooled: its layers that only a pooled block has.
        scale: whether theta . phi under a softmax is divided by the root of its width.
        notes: what no file of the project can say and a user must know.
    """

    project: str
    layers: Mapping[str, str]
    place: Callable[[str], str]
    signature: str = "g"
    required: tuple[str, ...] = ("g", "w_z")
    backbone: tuple[tuple[str, str], ...] = ()
    fields: Mapping[str, str] = field(
        default_factory=lambda: {name: name for name in TORCH_FIELDS},
    )
    separator: str = "."
    subsample: str | None = "none"
    pooled: tuple[str, ...] = ()
    scale: bool = False
    notes: tuple[str, ...] = ()

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches a tensor of a block: ``place``, ``layer`` and ``field``."""
        dot = re.escape(self.separator)
        layers, fields = ("|".join(map(re.escape, names)) for names in (self.layers, self.fields))
        return re.compile(rf"^(?:(?P<place>.+){dot})?(?P<layer>{layers}){dot}(?P<field>{fields})$")


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
        unused: names of the file that nothing was made of.
        notes: what is not equal, or must be set elsewhere.
    """

    state: dict[str, Tensor]
    rows: tuple[Row, ...]
    options: dict[str, object] = field(default_factory=dict)
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
        if self.options:
            pairs = (f'MODEL.NONLOCAL.{key} "{value}"' for key, value in self.options.items())
            lines.append(f"the config must say: {' '.join(pairs)}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def listed(names: tuple[str, ...] | list[str]) -> str:
    """The first names, and how many more."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def backbone_name(name: str, source: Source) -> str | None:
    """Our name of a tensor of the backbone, without prefix; None for any other tensor."""
    for pattern, ours in source.backbone:
        if re.search(pattern, name):
            return re.sub(pattern, ours, name)
    return None
