"""The running statistics of batch norms, which a step changes before anyone knows its losses."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


def moving_norms(model: nn.Module) -> list[nn.Module]:
    """The norms over the batch that training moves; frozen ones have nothing that moves."""
    return [one for one in model.modules() if isinstance(one, _NormBase) and one.training]


class NormStatistics:
    """A copy of the statistics that training moves, to put them back after a step that failed.

    Args:
        model: see `moving_norms`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._kept = [
            (buffer, buffer.clone())
            for norm in moving_norms(model)
            for buffer in norm.buffers(recurse=False)
        ]

    def restore(self) -> None:
        """Put them back."""
        for buffer, kept in self._kept:
            buffer.copy_(kept)
