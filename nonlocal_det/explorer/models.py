"""A model that is explored: its name, its detector, and what its blocks compute, in words."""

from dataclasses import dataclass
from functools import cached_property

from nonlocal_det.inference.detector import Detector
from nonlocal_det.layers import InsertedBlock, NonLocal, nonlocal_blocks


@dataclass(frozen=True)
class ExplorerModel:
    """A trained model under a name.

    Attributes:
        name: as its config's.
        detector: the model with its weights.
    """

    name: str
    detector: Detector

    @cached_property
    def blocks(self) -> dict[str, str]:
        """The full names of its blocks, and what each computes: ``embedded_gaussian``."""
        found = nonlocal_blocks(self.detector.model)
        return {name: _function(block) for name, block in found.items()}


def _function(block: InsertedBlock) -> str:
    return block.pairwise if isinstance(block, NonLocal) else type(block).__name__
