"""What a training may say about its checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CheckpointOptions:
    """The choices of a command line, not of a config: they change no result.

    Args:
        keep_last: numbered checkpoints that stay; None: all.
        keep_best: a metric, ``bbox/AP``, whose best value's checkpoint stays as model_best.pth;
            with ``:min`` after it if less is better.
        trust: execute what a checkpoint says as it is loaded.
        allow_unmatched: train even if a tensor of the backbone, or on resuming any, came out of no
            file.
        made_by: what goes into each checkpoint: commit, config, versions.
    """

    keep_last: int | None = None
    keep_best: str | None = None
    trust: bool = False
    allow_unmatched: bool = False
    made_by: Mapping[str, Any] = field(default_factory=dict)
