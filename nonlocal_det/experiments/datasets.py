"""The data of a suite: drawn where the package draws it, else its expected tree printed."""

import os
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from nonlocal_det.synthetic.mini_coco import make_mini_coco

from .long_range.data import prepare_long_range
from .plan import Plan


def missing_data(plan: Plan) -> str:
    """Describe what is not there, with the expected tree; "" when all data sets are there.

    Long-range data of which nothing is there is not missing: `prepare_data` draws it.

    Raises:
        ValueError: a data set is not registered.
    """
    missing, tree = {}, {}  # names and lines, each once
    for name in plan.datasets:
        if name not in DatasetCatalog.list():
            raise ValueError(f"data set {name!r} is not registered; see DATASETS of the config")
        metadata = MetadataCatalog.get(name)
        annotations, images = Path(metadata.json_file), Path(metadata.image_root)
        if metadata.get("long_range") and not annotations.parents[1].exists():
            continue  # it is drawn before anything is trained
        for path, line in ((annotations, str(annotations)), (images, f"{images}/")):
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
        A line for each long-range data set that was drawn.

    Raises:
        FileNotFoundError: a data set is missing; prints the expected tree.
        ValueError: long-range data is there that another version has drawn.
    """
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser()
    is_mini_coco = all(name.startswith("mini_coco") for name in plan.datasets)
    if is_mini_coco and not (root / "mini_coco").exists():
        make_mini_coco(root)
    # by the metadata: a user's data set may have a name that begins like ours
    sets = (MetadataCatalog.get(name).get("long_range") for name in plan.datasets)
    lines = [prepare_long_range(root, key) for key in dict.fromkeys(filter(None, sets))]
    if message := missing_data(plan):
        raise FileNotFoundError(message)
    return [line for line in lines if line]
