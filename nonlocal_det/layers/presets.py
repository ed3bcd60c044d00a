"""The choices of the block by name, and the two presets: the paper's text and its authors' code."""

from dataclasses import dataclass

SUBSAMPLE = ("after", "before", "none")
"""2x2 max pooling after phi and g, of x before them, or none."""

NORMS = ("", "BN", "SyncBN", "GN")
"""The norm after w_z. Not FrozenBN: its scale of 0 has no gradient, the block could never learn."""

INITS = ("he", "normal")
"""He et al. (fan in), or normal with standard deviation 0.01."""


@dataclass(frozen=True)
class Preset:
    """What the paper's text and the authors' released code decide differently."""

    subsample: str
    scale: bool
    init: str
    norm: str


PRESETS = {
    "paper": Preset(subsample="after", scale=False, init="he", norm="BN"),
    "authors_code": Preset(subsample="before", scale=True, init="normal", norm="BN"),
}
