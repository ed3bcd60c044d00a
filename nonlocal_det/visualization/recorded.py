"""What a recorder has seen of a model's last run, and the questions one can ask it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.structures import Boxes
from torch import Tensor, nn

from nonlocal_det.layers import AffinityRows, PairwiseRows

from .maps import AttentionMap
from .placement import Placement, Point, place_in_roi, place_over_image

Size = tuple[int, int]


class AttentionMaps:
    """Where the blocks of a model looked in its last run; filled by `record_attention`.

    All points are (x, y) in pixels of the images as they were before they were resized: those of
    the ``height`` and ``width`` that go into Detectron2's model beside an image.

    Args:
        model: that is watched.
        heads: each block's name, and that of the RoI head it is in; None: over the whole image.
    """

    def __init__(self, model: nn.Module, heads: Mapping[str, str | None]) -> None:
        self.model = model
        self._heads = dict(heads)
        self._rows: dict[str, AffinityRows | ValueError] = {}
        self._regions: dict[str, list[Tensor]] = {}
        self._seen: list[Size] = []  # as the network saw them, without padding
        self._sizes: list[Size] = []  # as they were given
        self._padded: Size | None = None
        self._fresh = False

    @property
    def blocks(self) -> tuple[str, ...]:
        """The full names of the model's blocks."""
        return tuple(self._heads)

    @property
    def image_sizes(self) -> tuple[Size, ...]:
        """Height and width of each image of the last run, in pixels."""
        return tuple(self._sizes)

    def find(self, name: str) -> str:
        """The full name of the block that is called so, or whose name alone ends so.

        Args:
            name: as ``backbone.bottom_up.res4.nl4``, or ``res4.nl4``.

        Raises:
            ValueError: no block has that name, or several; lists those there are.
        """
        found = [block for block in self.blocks if f".{block}".endswith(f".{name}")]
        if name in self.blocks:
            return name
        if len(found) != 1:
            how = "no block" if not found else "several blocks"
            raise ValueError(
                f"block={name!r}: {how} of that name; this model has {', '.join(self.blocks)}"
            )
        return found[0]

    def is_in_roi_head(self, name: str) -> bool:
        """Whether a block sees regions of the image, one by one, and not the image."""
        return self._heads[self.find(name)] is not None

    def rois(self, name: str, image: int = 0) -> np.ndarray:
        """The regions that a block of a RoI head saw of an image: (R, 4), x0, y0, x1, y1.

        In the order in which the head saw them, which is that of the detections, but for those
        that Detectron2 drops afterwards because they are empty.

        Raises:
            ValueError: the block sees whole images, or as `at`.
        """
        head = self._heads[self.find(name)]
        if head is None:
            raise ValueError(f"block {name} sees whole images, not regions of them")
        boxes = Boxes(self._of_image(self._regions.get(head, []), image).clone())
        (seen_h, seen_w), (height, width) = self._seen[image], self._sizes[image]
        boxes.scale(width / seen_w, height / seen_h)
        return boxes.tensor.double().numpy()

    def at(
        self,
        name: str,
        point: Point,
        *,
        image: int = 0,
        roi: int | None = None,
        pairwise: str | None = None,
    ) -> AttentionMap:
        """Where a block looks from a point.

        Args:
            name: of the block; see `find`.
            point: (x, y) in pixels of the image.
            image: which one of the batch.
            roi: for a block of a RoI head, which of the image's regions; see `rois`.
            pairwise: another function of the block's theta and phi, which the model does not
                compute; see `PairwiseRows.under`. None: the block's own.

        Raises:
            ValueError: an unknown block, image or region; a point outside of the image or region;
                a block that looks at nothing; a function it cannot be asked for; or the model has
                not run yet.
        """
        rows, placement = self._find_rows(name, image, roi)
        if pairwise is not None:
            if not isinstance(rows, PairwiseRows):
                raise ValueError(f"pairwise={pairwise!r}: block {name} has no theta and phi")
            rows = rows.with_function(pairwise)
        return self._map(name, rows, placement, placement.position_of(point), point)

    def spread(
        self, name: str, *, image: int = 0, roi: int | None = None, most: int = 64
    ) -> list[AttentionMap]:
        """Where a block looks from a regular grid of its query positions that are in the image.

        Args:
            name: of the block; see `find`.
            image: which one of the batch.
            roi: as in `at`.
            most: at most so many positions.

        Raises:
            ValueError: as `at`; or ``most`` is below 1.
        """
        if most < 1:
            raise ValueError(f"most={most}; expected at least 1 position")
        rows, placement = self._find_rows(name, image, roi)
        height, width = placement.image_size
        inside = [
            [k for k in range(count) if placement.centre_of((k, k))[axis] < size]
            for axis, count, size in (
                (1, placement.shape[0], height),
                (0, placement.shape[1], width),
            )
        ]
        step = math.ceil(math.sqrt(max(1.0, len(inside[0]) * len(inside[1]) / most)))
        while math.prod(len(cells[::step]) for cells in inside) > most:
            step += 1
        return [
            self._map(name, rows, placement, (i, j), placement.centre_of((i, j)))
            for i in inside[0][::step]
            for j in inside[1][::step]
        ]

    @torch.no_grad()
    def _map(
        self,
        name: str,
        rows: AffinityRows,
        placement: Placement,
        position: tuple[int, int],
        point: Point,
    ) -> AttentionMap:
        weights = rows.at([position[0] * placement.shape[1] + position[1]])[0, 0]  # (Kh, Kw)
        real = torch.ones_like(weights, dtype=torch.bool)
        if rows.key_mask is not None:
            real = rows.key_mask[0].view(weights.shape)  # (1, Q) -> (Kh, Kw)
        return AttentionMap(
            block=self.find(name),
            query=point,
            position=position,
            weights=weights.double().cpu().numpy(),
            real=real.cpu().numpy(),
            placement=placement,
            signed=rows.signed,
        )

    def _find_rows(self, name: str, image: int, roi: int | None) -> tuple[AffinityRows, Placement]:
        """The rows of one image or region, and where they lie."""
        name = self.find(name)
        rows = self._rows.get(name)
        if isinstance(rows, ValueError):
            raise rows
        if rows is None or not self._seen or self._padded is None:
            raise ValueError(
                f"block {name} has not run since the recorder was set, or not by a call of the "
                "model; run the model itself inside of `with record_attention(model)`"
            )
        if len(rows.shape) != 2:
            raise ValueError(f"block {name} has {len(rows.shape)} dimension(s); images have 2")
        shapes = (_size(rows.shape), _size(rows.key_shape))
        self._of_image(self._seen, image)
        if self._heads[name] is None:
            if roi is not None:
                raise ValueError(f"roi={roi}: block {name} sees whole images; leave roi out")
            seen, size = self._seen[image], self._sizes[image]
            return rows.item(image), place_over_image(*shapes, seen, self._padded, size)
        boxes = self.rois(name, image)
        if roi is None or not 0 <= roi < len(boxes):
            raise ValueError(
                f"roi={roi}: block {name} saw {len(boxes)} regions of image {image}; give one of "
                "them, counted from 0" + ("" if len(boxes) else " (nothing was detected there)")
            )
        before = sum(len(one) for one in self._regions[self._heads[name] or ""][:image])
        placed = place_in_roi(*shapes, tuple(boxes[roi]), self._sizes[image])
        return rows.item(before + roi), placed

    def _of_image(self, values: Sequence[Any], image: int) -> Any:
        if not 0 <= image < len(values):
            raise ValueError(f"image={image}; the last run had {len(values)} images")
        return values[image]

    # What the hooks tell. A run begins with its images; what was seen before is forgotten.

    def see_images(self, inputs: Sequence[Mapping[str, Any]]) -> None:
        """A run begins, on the dictionaries of Detectron2's data loaders."""
        self._rows, self._regions, self._fresh = {}, {}, True
        self._seen = [_size(one["image"].shape[-2:]) for one in inputs]
        self._sizes = [
            (int(one.get("height", seen[0])), int(one.get("width", seen[1])))
            for one, seen in zip(inputs, self._seen, strict=True)
        ]
        self._padded = None

    def see_tensor(self, images: Tensor) -> None:
        """A run begins, on images (N, C, H, W)."""
        self._rows, self._regions, self._fresh = {}, {}, True
        self._padded = _size(images.shape[-2:])
        self._seen = [self._padded] * len(images)
        self._sizes = list(self._seen)

    def see_padded(self, size: Sequence[int]) -> None:
        """The backbone gets a batch; not of a run that is known, if it is the second one."""
        if not self._fresh:
            self._seen, self._sizes = [], []
        self._padded, self._fresh = _size(size), False

    def see_regions(self, head: str, boxes: list[Tensor]) -> None:
        """A RoI head gets the regions (R, 4) of each image, in pixels as the network saw it."""
        self._regions[head] = boxes

    def see_rows(self, name: str, rows: AffinityRows | ValueError) -> None:
        """A block gets a map, and has these rows; or says why it has none."""
        self._rows[name] = rows


def _size(shape: Sequence[int]) -> Size:
    return int(shape[-2]), int(shape[-1])
