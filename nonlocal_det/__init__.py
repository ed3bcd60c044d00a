"""Non-local Neural Networks for detection and video, as a Detectron2 extension.

Importing it is cheap and registers nothing: `nonlocal_det.layers` needs torch only. A name of
``__all__`` registers the project's components with Detectron2 when it is asked for. Without a
working Detectron2, whatever needs it raises an ImportError that says how to get it.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .version import __version__

__all__ = ["__version__", "add_nonlocal", "add_nonlocal_config", "model_zoo"]

_WITHOUT_DETECTRON2 = ("cli", "files", "install", "layers", "requirement", "version")


def __getattr__(name: str) -> Any:
    if name.startswith("_") or not (name in __all__ or find_spec(f"nonlocal_det.{name}")):
        raise AttributeError(f"module 'nonlocal_det' has no attribute {name!r}")
    if name not in _WITHOUT_DETECTRON2:
        from .requirement import register_components

        register_components(f"nonlocal_det.{name}")
    if name in ("add_nonlocal", "add_nonlocal_config"):
        return getattr(import_module("nonlocal_det.detection"), name)
    return import_module(f"nonlocal_det.{name}")
