"""Where the images of a padded batch end, so that a block does not attend to the padding.

A detector pads the images of a batch to one size. A block that attends to that padding makes the
result of an image depend on what it was batched with.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

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

    def mask(self, x: Tensor) -> Tensor | None:
        """Which positions of a map x (N, C, *S) of this batch see any real pixel.

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
        mask = torch.ones((x.shape[0], 1, *shape), dtype=torch.bool, device=x.device)
        for axis, cells in enumerate(shape):
            end = torch.tensor([image[axis] for image in ends], device=x.device)
            inside = torch.arange(cells, device=x.device) < end.unsqueeze(1)  # (N, S_axis)
            view = [x.shape[0], 1, *(cells if k == axis else 1 for k in range(len(shape)))]
            mask = mask & inside.view(view)
        return mask


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
    set_padding(model, Padding([tuple(size) for size in sizes], tuple(padded)))
    try:
        yield
    finally:
        set_padding(model, None)


def set_padding(model: nn.Module, padding: Padding | None) -> None:
    """Set or forget the padding of every module that has the attribute ``padding_of_batch``."""
    for module in model.modules():
        if "padding_of_batch" in vars(module):
            vars(module)["padding_of_batch"] = padding
