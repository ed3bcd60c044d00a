"""Installs a working Detectron2; imports nothing but the standard library."""

from .commands import InstallError, Steps
from .detectron2 import install, main

__all__ = ["InstallError", "Steps", "install", "main"]
