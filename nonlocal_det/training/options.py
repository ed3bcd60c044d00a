"""The choices of a training's command line that are in no config: they change no model."""

import argparse
from dataclasses import dataclass, fields

from nonlocal_det.data.skipping import MAX_BAD_IMAGES


@dataclass(frozen=True)
class TrainingOptions:
    """How steps are computed and what is evaluated beside the metrics.

    Args:
        accumulate: micro-batches into which each process's batch is divided; their gradients are
            added, so a step takes the memory of one of them.
        skip: steps with numbers that are not finite that may be left out, over restarts; the next
            one stops the training.
        max_bad_images: images that may be unreadable, and are skipped.
        validation_loss: compute the losses on ``DATASETS.TEST`` too.
        ema: the decay of averaged weights, which are evaluated and saved too; None: none.
        early_stop: a metric, as ``bbox/AP`` or with ``:min`` after it, that ends the training.
        patience: evaluations in a row that ``early_stop`` may be no better.

    Raises:
        ValueError: ``accumulate`` is below 1 or ``skip`` below 0.
    """

    accumulate: int = 1
    skip: int = 0
    max_bad_images: int = MAX_BAD_IMAGES
    validation_loss: bool = False
    ema: float | None = None
    early_stop: str | None = None
    patience: int = 5

    def __post_init__(self) -> None:
        """Check the values of the step; the evaluations' hooks check theirs."""
        if self.accumulate < 1:
            raise ValueError(f"--accumulate {self.accumulate}: expected 1 or more parts of a batch")
        if self.skip < 0:
            raise ValueError(f"--on-nonfinite: skip={self.skip}; expected 0 or more steps")

    @classmethod
    def from_arguments(cls, args: argparse.Namespace) -> "TrainingOptions":
        """Take the options from a command line, whose names are those of the fields."""
        return cls(**{field.name: getattr(args, field.name) for field in fields(cls)})
