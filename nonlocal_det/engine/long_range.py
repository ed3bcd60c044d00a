"""The long-range data for a backbone: its receptive field is measured, then the data is drawn."""

from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.modeling import build_backbone, build_model

from nonlocal_det.analysis import Reach, ReceptiveField, detection_reach, receptive_fields
from nonlocal_det.data import make_long_range

from .setup import merge_config


def field_of_config(config_file: str) -> tuple[str, ReceptiveField]:
    """The largest theoretical receptive field of a config's ResNet, with the output's name.

    The FPN is left out: its lateral and output convolutions add a little (see
    `receptive_fields` of the whole backbone), its levels differ.

    Args:
        config_file: a path, or the name of a packaged config.

    Raises:
        FileNotFoundError: no such config.
        ValueError: see `receptive_fields`.
    """
    cfg = merge_config(config_file, [])
    with torch.device("meta"):
        backbone = build_backbone(cfg)
    fields = receptive_fields(getattr(backbone, "bottom_up", backbone))
    name = max(fields, key=lambda output: fields[output].size)
    return name, fields[name]


def reach_of_config(
    config_file: str, width: float, height: float, options: Sequence[str] = ()
) -> Reach:
    """How far a detection of a config's model can see without its inserted blocks.

    Args:
        config_file: a path, or the name of a packaged config.
        width: of the region in pixels.
        height: likewise.
        options: KEY VALUE pairs of the config.

    Raises:
        FileNotFoundError: no such config.
        ValueError: see `detection_reach`.
    """
    cfg = merge_config(config_file, [*options, "MODEL.DEVICE", "meta"])
    with torch.device("meta"):
        model = build_model(cfg)
    return detection_reach(model, width, height)


def make_long_range_for(
    config_file: str,
    out: Path,
    level: str,
    *,
    num_train: int = 600,
    num_val: int = 100,
    num_test: int = 300,
    height: int | None = None,
    width: int | None = None,
    object_size: int = 24,
    seed: int = 0,
    force: bool = False,
) -> str:
    """Draw `out`/long_range/`level` with distances in units of a config's receptive field.

    Args:
        config_file: whose backbone is meant.
        out: see `make_long_range`, as all that follow.
        level: likewise.
        num_train: likewise.
        num_val: likewise.
        num_test: likewise.
        height: likewise.
        width: likewise.
        object_size: likewise.
        seed: likewise.
        force: likewise.

    Returns:
        A sentence: the folder, and the receptive field.

    Raises:
        FileNotFoundError: no such config.
        ValueError: see `make_long_range`.
    """
    name, field = field_of_config(config_file)
    target = make_long_range(
        out,
        level,
        receptive_field=field.size,
        num_train=num_train,
        num_val=num_val,
        num_test=num_test,
        height=height,
        width=width,
        object_size=object_size,
        seed=seed,
        force=force,
    )
    return f"{target} (receptive field of {name}: {field.size} px)"
