"""The LazyConfig twins of the packaged configs: programs, which run as they are loaded."""

from pathlib import Path

from detectron2.config import LazyConfig
from omegaconf import DictConfig

from nonlocal_det.configs import find_config


def get_lazy_config_file(name: str) -> str:
    """The path of a config's lazy twin.

    Args:
        name: of the YAML config, as ``"nl_mask_rcnn_R50"``.

    Raises:
        FileNotFoundError: there is no config of that name; suggests the nearest.
    """
    yaml = Path(find_config(name))
    stem = name.removesuffix(".yaml")
    root = yaml.parents[stem.count("/")]
    return str(root / "lazy" / f"{stem}.py")


def get_lazy_config(name: str) -> DictConfig:
    """A config's lazy twin: model, dataloader, optimizer, lr_multiplier and train.

    Raises:
        FileNotFoundError: as `get_lazy_config_file`.
    """
    return LazyConfig.load(get_lazy_config_file(name))


def find_lazy_config(path: str) -> str:
    """The lazy config a user means: a path, or the name of a packaged config.

    Raises:
        FileNotFoundError: neither is there; suggests the nearest names.
        ValueError: it is a YAML config, which train_net.py trains, or no Python file.
    """
    if Path(path).suffix in (".yaml", ".yml"):
        raise ValueError(
            f"--config-file {path} is a YAML config: train it with tools/train_net.py, or give its "
            f"lazy twin, configs/lazy/{Path(path).with_suffix('.py').name}"
        )
    if Path(path).is_file():
        if Path(path).suffix != ".py":
            raise ValueError(f"--config-file {path}: a LazyConfig is a Python file, NAME.py")
        return path
    name = path.removeprefix("configs/").removeprefix("lazy/").removesuffix(".py")
    find_config(name)  # the same names, and the same suggestions
    return get_lazy_config_file(name)
