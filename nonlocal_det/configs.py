"""From a name or a file to a config: the packaged configs, user's options, and the config hash."""

import difflib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from detectron2.config import CfgNode, get_cfg

from nonlocal_det.detection.config import add_nonlocal_config
from nonlocal_det.requirement import register_components
from nonlocal_det.video.config import add_video_config, apply_preset

NOT_THE_MODEL = (
    "SEED",
    "OUTPUT_DIR",
    "VERSION",
    "VIS_PERIOD",
    "MODEL.DEVICE",
    "DATALOADER.NUM_WORKERS",
    "INPUT.VIDEO.MAX_SECONDS",
    "SOLVER.CHECKPOINT_PERIOD",
    "TEST.EVAL_PERIOD",
    "TEST.EXPECTED_RESULTS",
)
"""Keys that do not change what a run computes, only which run it is and how it is watched."""


def load_config(name: str, options: Sequence[str] = (), device: str = "") -> CfgNode:
    """Load a config: Detectron2's defaults, this project's, the file, then the options.

    The keys of the video models are there if the file has the node ``MODEL.VIDEO``; a detector's
    config has none of them.

    Args:
        name: a path, or the name of a packaged config as ``"nl_mask_rcnn_R50"``.
        options: KEY VALUE pairs, merged last.
        device: a value of ``MODEL.DEVICE``; "": what the file or an option says, else CUDA where
            there is a GPU, else the CPU.

    Returns:
        The config, not frozen. Data sets are not looked at.

    Raises:
        FileNotFoundError: there is no such config; suggests near names.
        ValueError: the name is empty, the file is no plain YAML, a key is unknown, or a value is
            of another type.
    """
    if not name:
        raise ValueError("--config-file is missing; as --config-file configs/nl_mask_rcnn_R50.yaml")
    register_components(name)
    cfg = get_cfg()
    add_nonlocal_config(cfg)
    cfg.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    path = find_config(name)
    _merge(cfg, lambda: _merge_file(cfg, path), path)
    _merge(cfg, lambda: cfg.merge_from_list(list(options)), "the command line")
    if "VIDEO" in cfg.MODEL and cfg.MODEL.VIDEO.PRESET:
        apply_preset(cfg)
        cfg.merge_from_list(list(options))  # a key beside the preset counts
        cfg.MODEL.VIDEO.PRESET = ""
    if device:
        cfg.MODEL.DEVICE = device
    return cfg


def config_names() -> list[str]:
    """List the packaged configs, as ``"nl_mask_rcnn_R50"``, ``"quick/mask_keypoint_rcnn_R18"``."""
    root = _root()
    paths = (path for path in root.rglob("*.yaml") if not path.name.startswith("Base-"))
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in paths)


def find_config(name: str) -> str:
    """Find the path of the config that a user means: a path, or the name of a packaged config.

    ``configs/nl_mask_rcnn_R101.yaml`` works in a checkout because it is a path, and everywhere
    else because the packaged config of that name is found. A LazyConfig's name ends in ``.py``, as
    ``lazy/nl_mask_rcnn_R101.py``.

    Raises:
        FileNotFoundError: neither exists; suggests the nearest names.

    Example:
        >>> Path(find_config("nl_mask_rcnn_R101")).name
        'nl_mask_rcnn_R101.yaml'
    """
    if Path(name).is_file():
        return name
    stem = name.removeprefix("configs/").removesuffix(".yaml")
    path = _root() / (stem if stem.endswith(".py") else f"{stem}.yaml")
    if path.is_file():
        return str(path)
    raise FileNotFoundError(f"--config-file {name}: no such file or config; {_suggest(stem)}")


def config_hash(cfg: CfgNode) -> str:
    """Hash a config: twelve hexadecimal digits that all runs of one model and schedule share.

    Hashed are the values that differ from the defaults, so that a key which a later version of
    Detectron2 or of this package adds leaves the hash as it was. `NOT_THE_MODEL` does not count.
    """
    defaults = get_cfg()
    add_nonlocal_config(defaults)
    add_video_config(defaults)
    known = dict(config_leaves(defaults))
    changed = {
        key: value
        for key, value in config_leaves(cfg)
        if key not in NOT_THE_MODEL and (key not in known or known[key] != value)
    }
    text = json.dumps(changed, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _root() -> Path:
    package = Path(__file__).resolve().parent
    packed = package / "configs"  # in a wheel; a checkout has configs/ beside the package
    return packed if packed.is_dir() else package.parent / "configs"


def _suggest(name: str) -> str:
    leaves = {known.split("/")[-1]: known for known in config_names()}
    near = difflib.get_close_matches(Path(name).name, leaves, n=3, cutoff=0.5)
    if near:
        return "did you mean " + ", ".join(leaves[match] for match in near) + "?"
    return "model_zoo.md lists the names"


def _merge_file(cfg: CfgNode, path: str) -> None:
    values = CfgNode.load_yaml_with_base(path, allow_unsafe=False)
    if "VIDEO" in values.get("MODEL", {}):
        add_video_config(cfg)
    cfg.merge_from_file(path, allow_unsafe=False)  # also brings older versions up to date


def _merge(cfg: CfgNode, merge: Callable[[], None], source: str) -> None:
    try:
        merge()
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{source} is not plain YAML: {reason}; a config holds values only and runs no code"
        ) from error
    except (KeyError, AssertionError, ValueError) as error:
        message = str(error.args[0] if error.args else error)
        if "Non-existent" not in message:
            raise ValueError(f"{source}: {message}") from error
        unknown = message.split(":", 1)[1].strip()
        near = difflib.get_close_matches(unknown, [key for key, _ in config_leaves(cfg)], n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "see Detectron2's config reference"
        if unknown.startswith("--"):
            hint = "options come before the KEY VALUE pairs"
        raise ValueError(f"{source}: there is no config key {unknown}; {hint}") from error


def config_leaves(node: CfgNode, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of a config, as ``MODEL.NONLOCAL.SCALE``, and its value, tuples as lists."""
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from config_leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, _as_lists(value)


def _as_lists(value: Any) -> Any:
    return [*map(_as_lists, value)] if isinstance(value, tuple | list) else value
