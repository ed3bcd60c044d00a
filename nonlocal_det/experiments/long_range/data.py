"""The long-range data for a backbone: its receptive field is the unit of the drawn distances."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.modeling import build_backbone, build_model

from nonlocal_det.analysis import Reach, ReceptiveField, detection_reach, receptive_fields
from nonlocal_det.configs import load_config
from nonlocal_det.synthetic.dataset_folder import RECORD
from nonlocal_det.synthetic.long_range import VERSIONS, find_set, make_long_range


def field_of_config(config: str) -> tuple[str, ReceptiveField]:
    """Find the largest theoretical receptive field of a config's ResNet, and that output's name.

    The FPN is left out: its lateral and output convolutions add a little (see `receptive_fields`
    of the whole backbone), its levels differ.

    Args:
        config: a path, or the name of a packaged config.

    Raises:
        FileNotFoundError: there is no such config.
        ValueError: see `receptive_fields`.
    """
    cfg = load_config(config)
    with torch.device("meta"):
        backbone = build_backbone(cfg)
    fields = receptive_fields(getattr(backbone, "bottom_up", backbone))
    name = max(fields, key=lambda output: fields[output].size)
    return name, fields[name]


def reach_of_config(config: str, width: float, height: float, options: Sequence[str] = ()) -> Reach:
    """Compute how far a detection of a config's model sees without its inserted blocks.

    Args:
        config: a path, or the name of a packaged config.
        width: of the detection's region, in pixels.
        height: of the detection's region, in pixels.
        options: KEY VALUE pairs of the config.

    Raises:
        FileNotFoundError: there is no such config.
        ValueError: see `detection_reach`.
    """
    with torch.device("meta"):
        model = build_model(load_config(config, options, device="meta"))
    return detection_reach(model, width, height)


def prepare_long_range(out: Path, name: str) -> str:
    """Draw ``out``/long_range/``name`` if it is not there; else check that it is this version's.

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
    data = find_set(name)
    output, field = field_of_config(data.config)
    record = Path(out) / "long_range" / name / RECORD
    if not record.parent.exists():
        target = make_long_range(out, name, receptive_field=field.size)
        return f"drawn: {target} (receptive field of {output}: {field.size} px)"
    wanted = {
        "level": data.level,
        "version": VERSIONS[data.level],
        "receptive_field": field.size,
    }
    recorded = json.loads(record.read_text()) if record.is_file() else {}
    differing = [
        f"{key} {recorded.get(key)}, not {value}"
        for key, value in wanted.items()
        if recorded.get(key) != value
    ]
    if differing:
        raise ValueError(
            f"{record}: {'; '.join(differing)}: results on it would not compare; draw it again "
            f"with `python tools/make_long_range.py {name} {out} --force`, or move it away"
        )
    return ""
