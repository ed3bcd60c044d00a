"""The running statistics of batch norms, which a step changes before anyone knows its losses."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


class NormStatistics:
    """A copy of the statistics that training moves, to put them back after a step that failed.

    Args:
        model: its norms that are in training mode; frozen ones have nothing that moves.
    """

    def __init__(self, model: nn.Module) -> None:
        self._kept = [
            (buffer, buffer.clone())
            for module in model.modules()
            if isinstance(module, _NormBase) and module.training
            for buffer in module.buffers(recurse=False)
        ]

    def restore(self) -> None:
        """Put them back."""
        for buffer, kept in self._kept:
            buffer.copy_(kept)
