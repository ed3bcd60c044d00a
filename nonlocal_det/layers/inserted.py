"""What every block that is put into a network has in common, whatever it computes."""

from torch import Tensor, nn

from .padding import Padding
from .rows import AffinityRows


class InsertedBlock(nn.Module):
    """A residual block that is put into a network: the identity until it has learnt.

    A subclass has ``in_channels``, keeps the shape of its map, and says by `gate` which layer's
    zeros make it the identity.
    """

    in_channels: int

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False
        self.padding_of_batch: Padding | None = None  # see layers/padding.py

    @property
    def gate(self) -> nn.Module:
        """The layer whose parameters are all 0 at the start."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its gate is")

    def attention(self, x: Tensor, query: tuple[int, ...]) -> Tensor:
        """Where one query position looks; see `NonLocal.attention`."""
        raise NotImplementedError(f"{type(self).__name__} does not say where it looks")

    def rows(self, x: Tensor) -> AffinityRows:
        """Where any query position looks, asked one by one; see `NonLocal.rows`."""
        raise NotImplementedError(f"{type(self).__name__} does not say where it looks")

    def freeze(self) -> "InsertedBlock":
        """Stop learning, as Detectron2's ``ResNet.freeze`` asks of every child of a stage.

        Raises:
            ValueError: the block is still the identity; frozen, it would stay so for ever.
        """
        if not any(parameter.any() for parameter in self.gate.parameters()):
            raise ValueError(
                "freezing a non-local block that has learnt nothing yet (its output is still 0): "
                "it would stay the identity for ever; load trained weights first, or freeze fewer "
                "stages (MODEL.BACKBONE.FREEZE_AT)"
            )
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        self.frozen = True
        return self.eval()

    def train(self, mode: bool = True) -> "InsertedBlock":
        """Set the mode; once frozen, the norm keeps its statistics in either."""
        super().train(mode and not self.frozen)
        return self


def insert_after(parent: nn.Sequential, after: str, name: str, module: nn.Module) -> None:
    """Put a named child behind another one, so that no other child changes its name.

    Args:
        parent: runs its children in their order; changed in place.
        after: name of the child to follow.
        name: of the new child.
        module: the new child.

    Raises:
        ValueError: the name is taken already, or there is no child to follow.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> insert_after(net, "0", "nl0", nn.Identity())
        >>> [name for name, _ in net.named_children()]
        ['0', 'nl0', '1']
    """
    if after not in parent._modules:
        raise ValueError(
            f"there is no module {after!r} to follow; {', '.join(parent._modules)} are"
        )
    if name in parent._modules:
        raise ValueError(f"there is a module {name!r} already; each block needs its own position")
    children = list(parent.named_children())
    parent._modules.clear()
    for child_name, child in children:
        parent.add_module(child_name, child)
        if child_name == after:
            parent.add_module(name, module)
