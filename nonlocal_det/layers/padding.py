"""Where the images of a padded batch end, so that a block does not attend to the padding.

A detector pads the images of a batch to one size. A block that attends to that padding makes the
result of an image depend on what it was batched with.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Padding:
    """The true sizes of the images of a batch, and the size they were padded to.

    Args:
        sizes: (height, width) of each image in pixels; the padding is at the bottom and right.
        padded: (height, width) of the batch in pixels.
    """

    sizes: Sequence[Sequence[int]]
    padded: Sequence[int]
    _masks: dict[tuple[torch.Size, torch.device], Tensor | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def mask(self, x: Tensor) -> Tensor | None:
        """Return which positions of a map x (N, C, *S) of this batch see any real pixel.

        All blocks of a stage share one mask; it is made from integers of the host.

        Returns:
            Bool (N, 1, *S), or None where every position does: then there is nothing to pay.

        Raises:
            ValueError: x has another number of images or dimensions.
        """
        shape = x.shape[2:]
        if len(self.sizes) != x.shape[0] or len(self.padded) != len(shape):
            raise ValueError(
                f"the padding is that of {len(self.sizes)} images of {len(self.padded)} "
                f"dimensions, but the map has shape {tuple(x.shape)}"
            )
        key = (shape, x.device)
        if key not in self._masks:
            self._masks[key] = self._make(shape, x.device)
        return self._masks[key]

    def _make(self, shape: torch.Size, device: torch.device) -> Tensor | None:
        # cells of side padded / shape: ceil(size / side) of them hold a real pixel
        ends = [
            [
                -(-size * cells // whole)
                for size, cells, whole in zip(image, shape, self.padded, strict=True)
            ]
            for image in self.sizes
        ]
        if all(end >= cells for image in ends for end, cells in zip(image, shape, strict=True)):
            return None
        mask = torch.zeros((len(ends), 1, *shape), dtype=torch.bool, device="cpu")
        for image, sides in zip(mask, ends, strict=True):
            image[(0, *(slice(end) for end in sides))] = True
        return mask.to(device, non_blocking=True)


@contextmanager
def known_padding(
    model: nn.Module, sizes: Sequence[Sequence[int]], padded: Sequence[int]
) -> Iterator[None]:
    """Tell every non-local block of a model where the images of the batch end.

    For a meta-architecture of your own, around the call of its backbone::

        with known_padding(self.backbone, images.image_sizes, images.tensor.shape[-2:]):
            features = self.backbone(images.tensor)

    Args:
        model: the modules that see the whole batch; not the heads, whose regions have no padding.
        sizes: (height, width) of each image in pixels.
        padded: (height, width) of the batch in pixels.
    """
    with forgotten_padding(model):
        set_padding(model, Padding([tuple(map(int, size)) for size in sizes], tuple(padded)))
        yield


@contextmanager
def forgotten_padding(model: nn.Module) -> Iterator[None]:
    """Forget, however the body ends, the padding that `set_padding` has set within it."""
    try:
        yield
    finally:
        set_padding(model, None)


def set_padding(model: nn.Module, padding: Padding | None) -> None:
    """Set or forget the padding of every module that has the attribute ``padding_of_batch``."""
    for module in model.modules():
        if "padding_of_batch" in vars(module):
            vars(module)["padding_of_batch"] = padding
