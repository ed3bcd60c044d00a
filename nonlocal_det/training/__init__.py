"""Training: the processes, the trainer, its step, and what a resumed training needs."""

from .launch import launch
from .trainer import Trainer

__all__ = ["Trainer", "launch"]
