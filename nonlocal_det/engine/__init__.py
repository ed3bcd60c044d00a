"""Training and evaluation: the command line, the checks before the start, the processes."""

from .launch import launch
from .setup import build_argument_parser, build_config_parser, load_config
from .train import main
from .trainer import Trainer

__all__ = [
    "Trainer",
    "build_argument_parser",
    "build_config_parser",
    "launch",
    "load_config",
    "main",
]
