"""A recorder by hook: the blocks' forward is not touched, and returns one thing only."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from nonlocal_det.modeling import nonlocal_blocks


@contextmanager
def record_inputs(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Keep the map that goes into each inserted block while the model runs.

    The block's ``attention`` then gives where any position of that map looks, at the cost of one
    row of the affinity matrix; a block that looks nowhere (`PerPositionBlock`) refuses to say. The
    hooks are gone when the block is left, however it is left.

    Args:
        model: any module with such blocks in it.

    Yields:
        A dictionary filled as the model runs: each block's full name, its last input (N, C, H, W).
    """
    inputs: dict[str, Tensor] = {}

    def keep(name: str, x: Tensor) -> None:
        inputs[name] = x.detach()

    handles = [
        block.register_forward_pre_hook(lambda _, args, name=name: keep(name, args[0]))
        for name, block in nonlocal_blocks(model).items()
    ]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()
