"""Non-local Neural Networks for detection, as a Detectron2 extension.

Importing this package registers its components with Detectron2 (backbones, the keypoint head, the
drawn data sets) and does nothing else. `nonlocal_det.layers` needs torch alone and stays usable
without Detectron2; everything else then raises an ImportError that says how to get it.
"""

from typing import Any

from .requirement import detectron2_problem
from .version import __version__

__all__ = [
    "__version__",
    "add_nonlocal",
    "add_nonlocal_config",
    "model_zoo",
]

_problem = detectron2_problem()
if not _problem:
    from . import data, detection, model_zoo, synthetic  # noqa: F401  (registers every component)
    from .detection import add_nonlocal
    from .detection.config import add_nonlocal_config


_WITHOUT_DETECTRON2 = ("cli", "install", "layers", "requirement", "version")


def __getattr__(name: str) -> Any:
    if _problem and not name.startswith("_") and name not in _WITHOUT_DETECTRON2:
        raise ImportError(f"nonlocal_det.{name}: {_problem}")
    raise AttributeError(f"module 'nonlocal_det' has no attribute {name!r}")
