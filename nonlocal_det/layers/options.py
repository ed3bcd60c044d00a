"""One description of a block: what it computes, how it is computed, and how it starts."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .groups import OVER, Groups
from .kernels import KERNELS, kernels_for
from .pairwise import PAIRWISE

if TYPE_CHECKING:
    from .insertion import InsertedBlock

OPERATIONS = ("nonlocal", "per_position", "global_context")
"""The paper's block, and what it is compared with."""

SUBSAMPLE = ("after", "before", "none")
"""2x2 max pooling after phi and g, of x before them, or none."""

NORMS = ("", "BN", "SyncBN", "GN")
"""The norm after w_z. Not FrozenBN: its scale of 0 has no gradient, the block could never learn."""

INITS = ("he", "normal")
"""He et al. (fan in), or normal with standard deviation 0.01."""

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"subsample": "after", "scale": False, "init": "he", "norm": "BN"},
    "paper_scaled": {"subsample": "after", "scale": True, "init": "he", "norm": "BN"},
    "authors_code": {"subsample": "before", "scale": True, "init": "normal", "norm": "BN"},
}
"""What the paper's text and the authors' released code decide differently.

DEVIATION: the detection configs take ``"paper_scaled"``, the text with the scale of the code, as
without it their softmax is one-hot from the start (docs/stability.md).
"""


def _option(default: Any, key: str, choices: Iterable[Any] = (), config: Any = None) -> Any:
    """Make a field that knows its config key, its values, and its default in a config."""
    given = default if config is None else config
    metadata = {"key": f"MODEL.NONLOCAL.{key}", "choices": tuple(choices), "config": given}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class BlockOptions:
    """What a block is, but for the width and the dimensions of its map; checked when made.

    Attributes:
        preset: one of `PRESETS`; decides what is None below.
        operation: one of `OPERATIONS`: the paper's, or to compare with it one of equal cost without
            reach, or GCNet's.
        pairwise: f(x_i, x_j), one of `PAIRWISE`.
        kernel: how it is computed, never what: ``"auto"`` or a name of `KERNELS`.
        subsample: 2x2 max pooling of the keys, one of `SUBSAMPLE`: after phi and g (the text), of x
            before them (the code), or none; spatial also in 3D.
        scale: multiply theta . phi by the inverse square root of its width; of a preset, not in the
            concatenation, which has no such product.
        norm: after w_z, one of `NORMS`; with ``""`` w_z itself starts at 0 (the authors' recipe
            beside a frozen backbone norm), else the norm's scale does.
        bottleneck_ratio: inner channels of theta, phi and g as a share of the map's.
        init: of theta, phi and g, one of `INITS`.
        over: which positions of a clip a position receives from, one of `OVER`; over time nothing
            is subsampled.
        inner_channels: the inner width itself, instead of the ratio.
        window: time steps within which a position receives; 0: all.
        regions: in how many regions each dimension of the map is divided: a position receives from
            its region first, then from the same place of every region; see `NonLocal`. (): not.

    Raises:
        ValueError: a value is not among its choices, or two contradict each other; names the
            argument and its config key.

    Example:
        >>> BlockOptions(preset="authors_code").subsample
        'before'
        >>> block = BlockOptions(pairwise="dot_product", norm="").build(64)
    """

    preset: str = _option("paper", "PRESET", PRESETS)
    operation: str = _option("nonlocal", "OPERATION", OPERATIONS)
    pairwise: str = _option("embedded_gaussian", "PAIRWISE", PAIRWISE)
    kernel: str = _option("auto", "KERNEL", ("auto", *KERNELS))
    subsample: str = _option(None, "SUBSAMPLE", SUBSAMPLE)
    scale: bool = _option(None, "SCALE", (False, True))
    norm: str = _option(None, "NORM", NORMS, config="")
    bottleneck_ratio: float = _option(0.5, "BOTTLENECK_RATIO")
    over: str = _option("spacetime", "OVER", OVER)
    regions: tuple[int, ...] = _option((), "REGIONS")
    init: str = field(default=None, metadata={"choices": INITS})  # type: ignore[assignment]
    inner_channels: int | None = None
    window: int = 0

    def __post_init__(self) -> None:
        """Check every value once, and fill in what the preset decides."""
        object.__setattr__(self, "regions", tuple(self.regions))
        for option in fields(self):
            value, choices = getattr(self, option.name), option.metadata.get("choices")
            open_ = value is None and option.default is None
            if choices and not open_ and value not in choices:
                self._refuse(option.name, f"expected one of {', '.join(map(repr, choices))}")
        if self.operation == "global_context":
            self._check_global_context()
        self._check_groups()
        for name, value in PRESETS[self.preset].items():
            if getattr(self, name) is None:
                has_product = self.pairwise != "concatenation"
                object.__setattr__(self, name, value and has_product if name == "scale" else value)
        if not self.bottleneck_ratio > 0:
            self._refuse("bottleneck_ratio", "expected a number above 0")
        if self.kernel != "auto" and self.kernel not in kernels_for(self.pairwise):
            able = ", ".join(["auto", *kernels_for(self.pairwise)])
            self._refuse("kernel", f"cannot serve pairwise={self.pairwise!r}; use {able}")
        if self.scale and self.pairwise == "concatenation":
            self._refuse(
                "scale",
                "pairwise='concatenation' has no product theta . phi to scale; set it to False",
            )
        if self.operation == "per_position" and self.subsample == "before":
            self._refuse(
                "subsample",
                "a per-position block needs phi and g at every position; use 'after' or 'none'",
            )

    def build(self, channels: int, ndim: int = 2) -> "InsertedBlock":
        """Build the block for a map of so many channels.

        Args:
            channels: C.
            ndim: dimensions of the map: 1, 2 or 3.

        Raises:
            ValueError: the inner width would be below 1, or ``ndim`` is not 1, 2 or 3.
        """
        from .block import NonLocalBlock
        from .global_context import GlobalContextBlock
        from .per_position import PerPositionBlock

        if self.operation == "global_context":
            return GlobalContextBlock(channels, bottleneck_ratio=self.bottleneck_ratio, ndim=ndim)
        kind = PerPositionBlock if self.operation == "per_position" else NonLocalBlock
        return kind(channels, self, ndim=ndim)

    def width(self, channels: int) -> int:
        """Return Ci, the inner width for a map of C channels.

        Raises:
            ValueError: it would be below 1.
        """
        inner = self.inner_channels
        width = int(channels * self.bottleneck_ratio) if inner is None else inner
        if width < 1:
            name = "bottleneck_ratio" if inner is None else "inner_channels"
            self._refuse(name, f"an inner width of {width} of {channels} channels; at least 1")
        return width

    @property
    def groups(self) -> Groups | None:
        """How the positions of a clip are grouped; None: they are not."""
        if self.over == "spacetime" and not self.window and not self.regions:
            return None
        return Groups(self.over, self.window, self.regions)

    def _check_groups(self) -> None:
        if self.window < 0 or (self.window and self.over == "space"):
            self._refuse("window", "expected time steps, 0 (all) or more; 0 where over='space'")
        if any(type(count) is not int or count < 1 for count in self.regions):
            self._refuse("regions", "expected a whole number of regions, at least 1, a dimension")
        if self.regions and (self.over != "spacetime" or self.window):
            self._refuse("regions", "has groups of its own; leave over and window out")
        if self.regions and self.operation != "nonlocal":
            self._refuse("regions", f"operation={self.operation!r} has no regions; leave it out")
        if self.over == "time":
            if self.subsample not in (None, "none"):
                self._refuse("subsample", "over='time' has one key a time step; use 'none'")
            object.__setattr__(self, "subsample", "none")

    def _check_global_context(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            ours = option.name in ("preset", "operation", "bottleneck_ratio")
            if not ours and value not in (option.default, option.metadata.get("config")):
                default = option.metadata.get("config", option.default)
                self._refuse(
                    option.name,
                    f"says nothing to operation='global_context'; leave it at {default!r}",
                )

    def _refuse(self, name: str, reason: str) -> None:
        key = next(f.metadata.get("key") for f in fields(self) if f.name == name)
        where = f" ({key})" if key else ""
        if name == "norm" and self.norm == "FrozenBN":
            reason = (
                "its scale is 0 and has no gradient, so the block would stay the identity for "
                "ever; use '' (w_z starts at 0), the authors' recipe beside a frozen backbone, or "
                "'BN', 'SyncBN', 'GN'"
            )
        raise ValueError(f"{name}={getattr(self, name)!r}{where}: {reason}")


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        ValueError: it is not; the message lists what would be.
    """
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name}={value!r}; expected one of {', '.join(map(repr, choices))}")
    return value
