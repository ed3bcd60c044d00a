"""The config keys of the video models: ``MODEL.VIDEO``, ``INPUT.VIDEO`` and two of ``TEST``."""

from collections.abc import Mapping
from typing import Any

from detectron2.config import CfgNode

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {"MODEL.VIDEO.STEM": "paper_text", "MODEL.RESNETS.STRIDE_IN_1X1": True},
    "authors_code": {"MODEL.VIDEO.STEM": "paper_code", "MODEL.RESNETS.STRIDE_IN_1X1": False},
    "slowfast": {"MODEL.VIDEO.STEM": "slowfast", "MODEL.RESNETS.STRIDE_IN_1X1": False},
}
"""What differs between the paper's text, the authors' code and SlowFast: pooling, its padding and
the place of the spatial stride. The epsilon of norms is 1e-5 in all.

DEVIATION: the paper does not say where its stride is; the 34.2 GFLOPs of Table 2e fit the 1x1
convolution, as in MSRA's ResNets, whose weights this takes (torchvision's have it in the 3x3).
"""


def add_video_config(cfg: CfgNode) -> None:
    """Add the keys of the video models to a config; calling it twice is harmless.

    Args:
        cfg: a config of Detectron2, changed in place.
    """
    if "VIDEO" in cfg.MODEL:
        return
    model = cfg.MODEL.VIDEO = CfgNode()
    # "" (C2D), "3x1x1" or "3x3x3" (I3D): which convolutions of every second residual block reach
    # over 3 frames
    model.INFLATE = ""
    # Where time is subsampled: paper_text (Table 1), paper_code (the authors' code), fast (theirs
    # for 8 frames), slowfast, no_pool2 (SlowFast's, time not subsampled), mmaction2
    model.STEM = "paper_code"
    # paper, authors_code or slowfast: as a config is loaded, sets STEM and RESNETS.STRIDE_IN_1X1
    model.PRESET = ""
    # Time steps of res2, res3, res4, res5 within which their non-local blocks attend; 0: all.
    # The authors' models of 128 frames have 4 in res3.
    model.WINDOW = [0, 0, 0, 0]
    # Follows the classes of --video-data
    model.NUM_CLASSES = 400
    # Share of the features left out before the last layer, in training
    model.DROPOUT = 0.5
    # softmax: one class a video; sigmoid: any number of classes
    model.LOSS = "softmax"

    data = cfg.INPUT.VIDEO = CfgNode()
    # A clip has FRAMES frames, every STRIDE-th of the video
    data.FRAMES = 32
    data.STRIDE = 2
    # Training: the short side is drawn from this range, both included, then a square is cropped
    data.MIN_SIZE_TRAIN = 256
    data.MAX_SIZE_TRAIN = 320
    data.CROP = 224
    # Probability of a horizontal flip; 0 where left and right are classes
    data.FLIP = 0.5
    # Testing: the short side, clips a video, crops a clip (3, 1, or 0: the whole frame)
    data.TEST_SIZE = 256
    data.TEST_CLIPS = 10
    data.TEST_CROPS = 3
    # Where test clips start: authors (the last ones wrap round), slowfast, mmaction2
    data.CLIPS = "authors"
    # pyav, or torchcodec where it and FFmpeg's libraries are installed
    data.READER = "pyav"
    # Seconds that the reading of a clip may take; a file that takes longer is unreadable
    data.MAX_SECONDS = 120.0

    # Views of a video that are computed at once; 0: all
    cfg.TEST.VIEWS_PER_BATCH = 0
    # How the views of a video are merged: mean, or max (Charades)
    cfg.TEST.MERGE_VIEWS = "mean"


def apply_preset(cfg: CfgNode) -> None:
    """Set the keys that ``MODEL.VIDEO.PRESET`` stands for, and clear it.

    Raises:
        ValueError: there is no such preset.
    """
    preset, cfg.MODEL.VIDEO.PRESET = cfg.MODEL.VIDEO.PRESET, ""
    if preset and preset not in PRESETS:
        expected = ", ".join(map(repr, PRESETS))
        raise ValueError(f"MODEL.VIDEO.PRESET={preset!r}; expected one of {expected}, or ''")
    cfg.merge_from_list([word for pair in PRESETS.get(preset, {}).items() for word in pair])
