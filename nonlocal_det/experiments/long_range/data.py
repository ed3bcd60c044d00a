"""The long-range data for a backbone: its receptive field is measured, then the data is drawn."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.modeling import build_backbone, build_model

from nonlocal_det.analysis import Reach, ReceptiveField, detection_reach, receptive_fields
from nonlocal_det.configs import load_config
from nonlocal_det.synthetic.dataset_folder import RECORD
from nonlocal_det.synthetic.long_range import VERSIONS, find_set
from nonlocal_det.synthetic.long_range.make import make_long_range


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
    cfg = load_config(config_file, [])
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
    cfg = load_config(config_file, [*options, "MODEL.DEVICE", "meta"])
    with torch.device("meta"):
        model = build_model(cfg)
    return detection_reach(model, width, height)


def make_long_range_for(
    config_file: str | None,
    out: Path,
    name: str,
    *,
    num_train: int | None = None,
    num_val: int = 100,
    num_test: int | None = None,
    height: int | None = None,
    width: int | None = None,
    object_size: int = 24,
    seed: int = 0,
    force: bool = False,
) -> str:
    """Draw `out`/long_range/`name` with distances in units of a config's receptive field.

    Args:
        config_file: whose backbone is meant; None: the data set's own.
        out: see `make_long_range`, as all that follow.
        name: likewise.
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
    output, field = field_of_config(config_file or find_set(name).config)
    target = make_long_range(
        out,
        name,
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
    return f"{target} (receptive field of {output}: {field.size} px)"


def prepare_long_range(out: Path, name: str) -> str:
    """Draw `out`/long_range/`name` if it is not there; else see that it is this version's.

    Other sizes and counts than ours are the user's choice; another version of the drawing, or
    distances in the unit of another backbone, are not.

    Args:
        out: the folder of all data sets.
        name: of `DATA_SETS`.

    Returns:
        A sentence if it was drawn, else "".

    Raises:
        ValueError: what is there does not fit; says what differs.
    """
    record = Path(out) / "long_range" / name / RECORD
    if not record.parent.exists():
        return f"drawn: {make_long_range_for(None, out, name)}"
    data = find_set(name)
    wanted = {
        "level": data.level,
        "version": VERSIONS[data.level],
        "receptive_field": field_of_config(data.config)[1].size,
    }
    found = json.loads(record.read_text()) if record.is_file() else {}
    differs = [
        f"{key} {found.get(key)}, not {value}"
        for key, value in wanted.items()
        if found.get(key) != value
    ]
    if differs:
        raise ValueError(
            f"{record}: {'; '.join(differs)}: results on it would not compare; draw it again with "
            f"`python tools/make_long_range.py {name} {out} --force`, or move it away"
        )
    return ""
