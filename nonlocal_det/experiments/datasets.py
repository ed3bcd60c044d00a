"""The data of a suite: drawn when it is the drawn one, else found, or its expected tree printed."""

import os
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from nonlocal_det.synthetic.long_range import set_of
from nonlocal_det.synthetic.mini_coco import make_mini_coco

from .long_range import prepare_long_range
from .plan import Plan


def missing_data(plan: Plan) -> str:
    """What is not there, and the tree that is expected; "" when all data sets are found.

    Long-range data of which nothing is there is not missing: `prepare_data` draws it.

    Raises:
        ValueError: a data set is not registered.
    """
    missing, tree = [], []
    for name in plan.datasets:
        if name not in DatasetCatalog.list():
            raise ValueError(f"data set {name!r} is not registered; see DATASETS of the config")
        metadata = MetadataCatalog.get(name)
        if set_of(name) and not Path(metadata.json_file).parents[1].exists():
            continue  # it is drawn before anything is trained
        for path in (Path(metadata.json_file), Path(metadata.image_root)):
            there = path.exists()
            tree.append(f"  {path}{'/' * (not path.suffix)}{'' if there else '   <- missing'}")
            missing += [] if there else [name]
    if not missing:
        return ""
    root = os.environ.get("DETECTRON2_DATASETS", "datasets")
    return (
        f"data not found: {', '.join(dict.fromkeys(missing))}; set DETECTRON2_DATASETS (now "
        f"{root!r}) to the folder that has\n" + "\n".join(dict.fromkeys(tree))
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
    drawn = all(name.startswith("mini_coco") for name in plan.datasets)
    if drawn and not (root / "mini_coco").exists():
        make_mini_coco(root)
    sets = dict.fromkeys(found for name in plan.datasets if (found := set_of(name)))
    said = [prepare_long_range(root, name) for name in sets]
    if message := missing_data(plan):
        raise FileNotFoundError(message)
    return [line for line in said if line]
