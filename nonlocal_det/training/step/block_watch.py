"""What each non-local block adds to its map: a block that does nothing is a silent failure."""

import logging
from functools import partial

import torch
from detectron2.engine import HookBase
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nonlocal_det.layers import InsertedBlock

logger = logging.getLogger("nonlocal_det")

PATIENCE = 500
"""After so many iterations a block should have begun to learn."""


class BlockWatch(HookBase):
    """Log ``||w_z y|| / ||x||`` of every block when the metrics are written.

    In the other iterations no hook is registered. With a norm in the block it is
    ``||norm(w_z y)||``: what is added to x in any case. It has to come before the hooks that save
    and write.

    Args:
        blocks: by their names.
        period: iterations between two writings, as `PeriodicWriter` has it.
    """

    def __init__(self, blocks: dict[str, InsertedBlock], period: int = 20) -> None:
        self.blocks = blocks
        self.period = period
        self._sums: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        self._warned: set[str] = set()

    def before_step(self) -> None:
        """Register the hooks, if this iteration is written."""
        done = self.trainer.iter + 1
        if done % self.period == 0 or done == self.trainer.max_iter:
            self._sums = {}
            self._handles = [
                block.register_forward_hook(partial(self._add, name))
                for name, block in self.blocks.items()
            ]

    def _add(self, name: str, _: nn.Module, args: tuple[Tensor, ...], z: Tensor) -> None:
        """Add the squares; a step may call a block several times."""
        x, z = args[0].detach(), z.detach()
        added, base = (
            torch.linalg.vector_norm(t, dtype=torch.float32).square() for t in (z - x, x)
        )
        self._sums[name] = self._sums.get(name, 0) + torch.stack([added, base])

    def after_step(self) -> None:
        """Write the ratios and remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if not self._sums:
            return
        ratios = {}
        for name, sums in self._sums.items():
            added, base = sums.sqrt().tolist()
            if base:  # a head without a region has no map
                ratios[name] = added / base
                self.trainer.storage.put_scalar(
                    f"nl_response/{name}", ratios[name], smoothing_hint=False
                )
        self._sums = {}
        text = ", ".join(f"{name} {ratio:.3g}" for name, ratio in ratios.items())
        logger.info(f"non-local blocks, ||w_z y|| / ||x||: {text or 'no map was seen'}")
        self._warn([name for name, ratio in ratios.items() if ratio == 0])

    def _warn(self, dead: list[str]) -> None:
        new = [name for name in dead if name not in self._warned]
        if not new or self.trainer.iter + 1 < PATIENCE:
            return
        self._warned.update(new)
        logger.warning(
            f"after {self.trainer.iter + 1} iterations {', '.join(new)} still adds exactly 0 to "
            "its map: it has learnt nothing. Is the learning rate 0, is it left out of the "
            "optimizer or frozen, or was a checkpoint loaded in which both w_z and its norm are 0?"
        )
