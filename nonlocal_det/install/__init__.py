"""Gets a working Detectron2; imports nothing but the standard library."""

from nonlocal_det.install.commands import InstallError, Steps
from nonlocal_det.install.detectron2 import install, main

__all__ = ["InstallError", "Steps", "install", "main"]
