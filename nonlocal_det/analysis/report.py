"""What a detector costs, part by part: parameters, multiply-adds and activation memory."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from detectron2.config import CfgNode

from nonlocal_det.detection import nonlocal_blocks

from .detector import Setting, build_empty, inference_setting, run, training_setting
from .module_costs import Cost, extra_work, module_costs, total

_PARTS = (
    (r"backbone\.(?:bottom_up\.)?(stem|res\d)\b", r"\1"),
    (r"backbone\b", "fpn"),
    (r"proposal_generator\b", "rpn"),
    (r"roi_heads\.(box|mask|keypoint)_", r"\1 head"),
)
PARTS = (
    *("stem", "res2", "res3", "res4", "res5", "fpn", "rpn"),
    *("box head", "mask head", "keypoint head"),
)
"""In the order in which an image runs through them."""


@dataclass(frozen=True)
class Report:
    """The costs of one detector.

    Args:
        name: of the config.
        device: whose kernels were counted.
        inference: what its operations were counted on.
        training: what its activation memory was counted on.
        parts: by name of `PARTS`, each with the NL blocks that are in it.
        blocks: each NL block by its full name; they are within their parts too.
        unknown: operators that no formula knows, with how often they ran; not in the counts.
    """

    name: str
    device: str
    inference: Setting
    training: Setting
    parts: dict[str, Cost]
    blocks: dict[str, Cost]
    unknown: dict[str, int]

    @property
    def total(self) -> Cost:
        """Of the whole detector."""
        return total(self.parts)

    @property
    def all_blocks(self) -> Cost:
        """Of its NL blocks together."""
        return total(self.blocks)

    @property
    def extra(self) -> float:
        """See `extra_work`."""
        return extra_work(self.total, self.all_blocks)

    def as_dict(self) -> dict[str, Any]:
        """All numbers, as plain data."""
        sums = {"total": asdict(self.total), "all_blocks": asdict(self.all_blocks)}
        return {**asdict(self), **sums, "extra": self.extra}


def analyze(
    cfg: CfgNode,
    name: str = "",
    *,
    size: tuple[int, int] | None = None,
    proposals: int | None = None,
    detections: int | None = None,
    device: str = "cpu",
    memory: bool = True,
) -> Report:
    """The costs of the detector that a config describes, without weights, data or a GPU.

    Args:
        cfg: of an R-CNN with the standard heads.
        name: for the report.
        size: see `inference_setting`.
        proposals: see `inference_setting`.
        detections: see `inference_setting`.
        device: ``"cpu"`` or ``"cuda"``: ``KERNEL: auto`` is counted as it chooses there.
        memory: count what a training step saves too; else ``saved_bytes`` is 0.

    Raises:
        ValueError: a number below 1, an unknown device, or a detector of another kind.
    """
    inference = inference_setting(cfg, size, proposals, detections)
    model = build_empty(cfg)
    training = training_setting(model, inference)
    blocks = tuple(nonlocal_blocks(model))
    costs, unknown = module_costs(
        model,
        lambda path: run(model, inference, path),
        (lambda path: run(model, training, path)) if memory else None,
        device,
    )

    def within(block: str) -> Cost:
        return total(costs, lambda name: f"{name}.".startswith(f"{block}."))

    def part(wanted: str) -> Cost:
        return total(costs, lambda name: part_of(name) == wanted)

    parts = {name: cost for name in PARTS if (cost := part(name)) != Cost()}
    return Report(name, device, inference, training, parts, {b: within(b) for b in blocks}, unknown)


def part_of(module: str) -> str:
    """The part of a detector that a module belongs to; empty for what is none, as the model itself.

    Example:
        >>> part_of("backbone.bottom_up.res4.nl4.theta")
        'res4'
    """
    for pattern, part in _PARTS:
        found = re.match(pattern, module)
        if found:
            return found.expand(part)
    return ""
