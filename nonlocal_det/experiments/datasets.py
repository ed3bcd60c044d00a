"""The data of a suite: drawn where the package draws it, else its expected tree printed."""

import json
import os
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from nonlocal_det.analysis import ReceptiveField, receptive_fields
from nonlocal_det.model_zoo.models import build_config
from nonlocal_det.synthetic.dataset_folder import RECORD
from nonlocal_det.synthetic.long_range import VERSIONS, find_set, make_long_range

from .plan import Plan


def missing_data(plan: Plan) -> str:
    """Describe what is not there, with the expected tree; "" when all data sets are there.

    Drawn data of which nothing is there is not missing: `prepare_data` draws it. Expected are a
    COCO data set's annotations and images, or what the metadata names as ``expected_files``.

    Raises:
        ValueError: a data set is not registered.
    """
    missing, tree = {}, {}  # names and lines, each once
    for name in plan.datasets:
        if name not in DatasetCatalog.list():
            raise ValueError(f"data set {name!r} is not registered; see DATASETS of the config")
        if to_draw(name):
            continue  # before anything is trained
        for path in expected_files(name):
            line = f"{path}" if path.suffix else f"{path}/"
            if not path.exists():
                missing[name] = True
            tree["  " + line + ("" if path.exists() else "   <- missing")] = True
    if not missing:
        return ""
    root = os.environ.get("DETECTRON2_DATASETS", "datasets")
    return (
        f"data not found: {', '.join(missing)}; set DETECTRON2_DATASETS (now {root!r}) to the "
        "folder that has\n" + "\n".join(tree)
    )


def prepare_data(plan: Plan) -> list[str]:
    """Draw what is drawn and not there yet; check that the rest is.

    Returns:
        A line for each data set that was drawn and has something to say.

    Raises:
        FileNotFoundError: a data set is missing; prints the expected tree.
        ValueError: long-range data is there that another version has drawn.
    """
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser()
    # by the metadata: a user's data set may have a name that begins like ours
    for name in plan.datasets:
        if to_draw(name) and (draw := MetadataCatalog.get(name).get("draw")):
            draw(root)
    sets = dict.fromkeys(MetadataCatalog.get(name).get("long_range") for name in plan.datasets)
    lines = [prepare_long_range(root, key) for key in sets if key]
    if message := missing_data(plan):
        raise FileNotFoundError(message)
    return [line for line in lines if line]


def expected_files(name: str) -> list[Path]:
    """List the files and folders of a data set that must be there, by its metadata."""
    metadata = MetadataCatalog.get(name)
    paths = metadata.get("expected_files", None) or (metadata.json_file, metadata.image_root)
    return [Path(path) for path in paths]


def to_draw(name: str) -> bool:
    """Tell whether a data set is drawn by this package and its folder (``drawn_in``) not there."""
    folder = MetadataCatalog.get(name).get("drawn_in")
    return folder is not None and not Path(folder).exists()


def prepare_long_range(out: Path, name: str) -> str:
    """Draw ``out``/long_range/``name`` if it is not there; else check that it is this version's.

    Other sizes and counts than ours are the user's choice; another version of the drawing, or
    distances in the unit of another backbone, are not. A sentence is returned if it was drawn.

    Raises:
        ValueError: what is there does not fit; says what differs.
    """
    data = find_set(name)
    output, field = field_of_config(data.config)
    record = Path(out) / "long_range" / name / RECORD
    if not record.parent.exists():
        target = make_long_range(out, name, receptive_field=field.size)
        return f"drawn: {target} (receptive field of {output}: {field.size} px)"
    recorded = json.loads(record.read_text()) if record.is_file() else {}
    wanted = {"level": data.level, "version": VERSIONS[data.level], "receptive_field": field.size}
    differing = [
        f"{key} {recorded.get(key)}, not {value}"
        for key, value in wanted.items()
        if recorded.get(key) != value
    ]
    if differing:
        raise ValueError(
            f"{record}: {'; '.join(differing)}: results on it would not compare; draw it again "
            f"with `python -m nonlocal_det make-long-range {name} {out} --force`, or move it away"
        )
    return ""


def field_of_config(config: str) -> tuple[str, ReceptiveField]:
    """Find the largest theoretical receptive field of a config's ResNet, and that output's name.

    It is the unit of the drawn distances. The FPN is left out: its lateral and output convolutions
    add a little, its levels differ.

    Raises:
        FileNotFoundError: there is no such config.
        ValueError: see `receptive_fields`.
    """
    backbone = build_config(config, device="meta").backbone
    fields = receptive_fields(getattr(backbone, "bottom_up", backbone))
    name = max(fields, key=lambda output: fields[output].size)
    return name, fields[name]
