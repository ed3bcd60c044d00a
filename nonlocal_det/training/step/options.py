"""What a command line may say about the training step."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class StepOptions:
    """How a step is computed and what becomes of one that fails; not a config's, nor a model's.

    Args:
        accumulate: parts into which each process's batch is divided; they are computed one after
            the other and their gradients added, so that memory is that of a part.
        skip: so many steps whose numbers are not finite are left out, over restarts; the next one
            stops the training.

    Raises:
        ValueError: ``accumulate`` is below 1 or ``skip`` below 0.
    """

    accumulate: int = 1
    skip: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.accumulate < 1:
            raise ValueError(
                f"--accumulate {self.accumulate}: expected 1 or more parts of a batch; leave it "
                "out for whole batches"
            )
        if self.skip < 0:
            raise ValueError(f"--on-nonfinite: skip={self.skip}; expected 0 or more steps")


def parse_policy(text: str) -> int:
    """The number of steps that ``stop`` or ``skip-N`` allows to be left out.

    Raises:
        ValueError: it is neither.
    """
    found = re.fullmatch(r"stop|skip-([1-9]\d*)", text)
    if found is None:
        raise ValueError(f"--on-nonfinite {text}: expected stop or skip-N, as skip-10")
    return int(found[1] or 0)
