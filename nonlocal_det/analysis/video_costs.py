"""What a network for clips costs: one view, all views of a test, and the paper's ratios."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from detectron2.config import CfgNode

from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.video import VideoClassifier

from .module_costs import Cost, ModelCosts, build_on_meta, by_part, module_costs
from .operation_counts import ModulePath


@dataclass(frozen=True)
class Views:
    """What a network is run on.

    Args:
        frames, height, width: of one view, in frames and pixels.
        number: of a video.
        at_once: how many of them are computed at once.
    """

    frames: int
    height: int
    width: int
    number: int = 1
    at_once: int = 1

    def __str__(self) -> str:
        """As a table has it."""
        one = f"{self.frames}x{self.height}x{self.width}"
        return one if self.number == 1 else f"{self.number} of {one}"


@dataclass(frozen=True)
class VideoCosts(ModelCosts):
    """The costs of one view, and those of a test.

    Args:
        views: of a video in a test.
        test: of all of them; ``largest_bytes`` is of those that are computed at once.
    """

    views: Views
    test: Cost


def video_costs(
    cfg: CfgNode,
    name: str = "",
    *,
    size: tuple[int, int] | None = None,
    device: str = "cpu",
    memory: bool = True,
) -> VideoCosts:
    """Count the costs of the network that a config describes, without weights, data or a GPU.

    Args:
        cfg: of a `VideoClassifier`.
        name: for the report.
        size: (height, width) of one view; None: ``INPUT.VIDEO.CROP``, as papers count.
        device: ``"cpu"`` or ``"cuda"``: ``KERNEL: auto`` is counted as it chooses there.
        memory: count what a training step saves, and a test, too; else both are 0.

    Raises:
        ValueError: a size is below the network's stride, or the device is unknown.
    """
    data, test_size = cfg.INPUT.VIDEO, cfg.INPUT.VIDEO.TEST_SIZE
    one = Views(data.FRAMES, *(size or (data.CROP, data.CROP)))
    # 0 crops: the whole frame, counted as 4:3, most of Kinetics
    width = test_size if data.TEST_CROPS else test_size * 4 // 3
    number = data.TEST_CLIPS * max(1, data.TEST_CROPS)
    at_once = cfg.TEST.VIEWS_PER_BATCH or number
    views = Views(data.FRAMES, test_size, width, number, min(number, at_once))

    model = _build(cfg)
    blocks, run = tuple(nonlocal_blocks(model)), _runner(model, one)
    costs, unknown = module_costs(model, run, run if memory else None, device)
    test = Cost()
    if memory:
        tested = _build(cfg)
        test = sum(module_costs(tested, _runner(tested, views), None, device)[0].values(), test)
    test = replace(
        test,
        multiply_adds=test.multiply_adds * number // views.at_once,
        other_operations=test.other_operations * number // views.at_once,
    )
    return VideoCosts(name, device, one, one, *by_part(costs, blocks), unknown, views, test)


def _build(cfg: CfgNode) -> VideoClassifier:
    model = build_on_meta(cfg)
    if not isinstance(model, VideoClassifier):
        raise ValueError(
            f"MODEL.META_ARCHITECTURE={cfg.MODEL.META_ARCHITECTURE!r}; a config with MODEL.VIDEO "
            "is analysed as a VideoClassifier"
        )
    return model


def _runner(model: VideoClassifier, views: Views) -> Callable[[ModulePath], object]:
    def run(path: ModulePath) -> object:
        shape = (views.at_once, 3, views.frames, views.height, views.width)
        clip = torch.empty(shape, device=next(model.parameters()).device)
        return model.head(model.backbone(clip)[model.in_features])

    return run


BEFORE = ("MODEL.NONLOCAL.SUBSAMPLE", "before")
AFTER = ("MODEL.NONLOCAL.SUBSAMPLE", "after")
RATIOS = (
    ("i3d_R101_32x2", (), "I3D 3x1x1 / C2D, R101 (2e)", 1.2, 1.5),
    ("i3d_R101_32x2_3x3x3", (), "I3D 3x3x3 / C2D, R101 (2e)", 1.5, 1.8),
    ("nl_c2d_R101_32x2", BEFORE, "NL C2D / C2D, R101, pooled before phi and g (2e)", 1.2, 1.2),
    ("nl_c2d_R101_32x2", AFTER, "NL C2D / C2D, R101, pooled after, the text (2e)", 1.2, 1.2),
    ("nl_c2d_R50_32x2", BEFORE, "5-block R50 / R101, pooled before", 0.7, 0.8),
    ("nl_c2d_R50_32x2", AFTER, "5-block R50 / R101, pooled after, the text", 0.7, 0.8),
)
"""A config, options, what it is, and the paper's ratios of parameters and FLOPs to C2D R101's."""

DENSE_RES2 = (
    *("MODEL.NONLOCAL.AFTER_BLOCKS", "[[-2], [], [], []]"),
    *("MODEL.NONLOCAL.KERNEL", "dense"),
)
MEMORY = (
    ("nl_c2d_R50_32x2_10blocks", ("INPUT.VIDEO.FRAMES", "128"), "10 blocks, 128 frames, as chosen"),
    (
        "nl_c2d_R50_32x2",
        (*DENSE_RES2, "MODEL.NONLOCAL.SUBSAMPLE", "none"),
        "1 dense block in res2, 32 frames, every pair as in Eq. 1",
    ),
    ("nl_c2d_R50_32x2", DENSE_RES2, "1 dense block in res2, 32 frames, pooled"),
    (
        "nl_c2d_R50_32x2",
        ("MODEL.NONLOCAL.AFTER_BLOCKS", "[[], [-2], [], []]", "MODEL.NONLOCAL.KERNEL", "dense"),
        "1 dense block in res3, 32 frames, pooled",
    ),
)
"""Configs whose blocks' memory in a training step is compared, the first with each other."""
