"""Where the packaged configs lie, and how a misspelt name is told from a missing one."""

import difflib
from pathlib import Path

from detectron2.config import CfgNode, get_cfg

from nonlocal_det.config import add_nonlocal_config


def _root() -> Path:
    package = Path(__file__).resolve().parent.parent
    packed = package / "configs"  # in a wheel; a checkout has configs/ beside the package
    return packed if packed.is_dir() else package.parent / "configs"


def config_names() -> list[str]:
    """Every config's name, as ``"nl_mask_rcnn_R50"`` or ``"quick/mask_keypoint_rcnn_R18"``."""
    root = _root()
    names = (path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))
    return sorted(name for name in names if not name.startswith("Base-"))


def get_config_file(name: str) -> str:
    """The path of a packaged config.

    Args:
        name: as `config_names` has it; ``.yaml`` may follow.

    Raises:
        FileNotFoundError: there is none of that name; suggests the nearest.

    Example:
        >>> Path(get_config_file("nl_mask_rcnn_R101")).name
        'nl_mask_rcnn_R101.yaml'
    """
    path = _root() / f"{name.removesuffix('.yaml')}.yaml"
    if path.is_file():
        return str(path)
    raise FileNotFoundError(f"no config is named {name!r}; {_suggest(name)}")


def get_config(name: str) -> CfgNode:
    """A packaged config, merged over Detectron2's defaults.

    Raises:
        FileNotFoundError: as `get_config_file`.
    """
    cfg = get_cfg()
    add_nonlocal_config(cfg)
    cfg.merge_from_file(get_config_file(name), allow_unsafe=False)
    return cfg


def find_config(path: str) -> str:
    """The config file a user means: a path, or the name of a packaged config.

    ``configs/nl_mask_rcnn_R101.yaml`` works in a checkout because it is a path, and everywhere
    else because the packaged config of that name is found.

    Raises:
        FileNotFoundError: neither is there; suggests the nearest names.
    """
    if Path(path).is_file():
        return path
    name = path.removeprefix("configs/").removesuffix(".yaml")
    try:
        return get_config_file(name)
    except FileNotFoundError:
        raise FileNotFoundError(f"--config-file {path}: no such file; {_suggest(name)}") from None


def _suggest(name: str) -> str:
    names = config_names()
    leaves = {known.split("/")[-1]: known for known in names}
    near = difflib.get_close_matches(Path(name).name, leaves, n=3, cutoff=0.5)
    if near:
        return "did you mean " + ", ".join(leaves[match] for match in near) + "?"
    return "there are " + ", ".join(names)
