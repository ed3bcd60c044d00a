"""Record by hooks where the non-local blocks of a model attend; no forward pass is changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from detectron2.modeling.roi_heads.keypoint_head import BaseKeypointRCNNHead
from detectron2.modeling.roi_heads.mask_head import BaseMaskRCNNHead
from detectron2.structures import Boxes
from torch import Tensor, nn

from nonlocal_det.layers import AffinityRows, InsertedBlock, PairwiseRows, nonlocal_blocks

from .attention_maps import AttentionMap
from .placement import Placement, Point, Sides, place_in_roi, place_over_image

ROI_HEADS = (BaseKeypointRCNNHead, BaseMaskRCNNHead)


class AttentionMaps:
    """Where the blocks of a model attended in its last run; filled by `record_attention`.

    All points are (x, y) in pixels of the images as they were before they were resized: those of
    the ``height`` and ``width`` that go into Detectron2's model beside an image. Those of a clip
    are (x, y, frame), its frames counted from 0; every view of a video is an image here.

    Args:
        model: the recorded one.
        heads: for each block's name that of the RoI head it is in; None: over the whole image.

    Attributes:
        blocks: the full names of the model's blocks.
        image_sizes: height and width of each image of the last run, in pixels, as it was given;
            of each clip its frames, height and width.
    """

    def __init__(self, model: nn.Module, heads: Mapping[str, str | None]) -> None:
        self.model = model
        self.blocks = tuple(heads)
        self.image_sizes: tuple[Sides, ...] = ()
        self._heads = heads
        self._rows: dict[str, AffinityRows | ValueError] = {}
        self._regions: dict[str, list[Tensor]] = {}
        self._resized: tuple[Sides, ...] = ()  # as the network got them, without padding
        self._padded: Sides | None = None
        self._backbone_next = False

    def find(self, name: str) -> str:
        """Find the full name of a block by the last words of it, as ``res4.nl4``.

        Raises:
            ValueError: no block has that name, or several; lists those there are.
        """
        if name in self._heads:
            return name
        matches = [block for block in self.blocks if block.endswith(f".{name}")]
        if len(matches) != 1:
            count = "several blocks" if matches else "no block"
            raise ValueError(
                f"block={name!r}: {count} of that name; this model has {', '.join(self.blocks)}"
            )
        return matches[0]

    def is_in_roi_head(self, name: str) -> bool:
        """Tell whether a block gets regions of the image, one by one, and not the image."""
        return self._heads[self.find(name)] is not None

    def rois(self, name: str, image: int = 0) -> np.ndarray:
        """Return the regions of an image that a block of a RoI head got: (R, 4), x0, y0, x1, y1.

        They are in the order of the detections, with the empty ones that Detectron2 drops later.

        Raises:
            ValueError: the block gets whole images; an unknown block or image; it has not run.
        """
        head = self._heads[self.find(name)]
        if head is None:
            raise ValueError(f"block {name} gets whole images, not regions of them")
        regions = self._regions.get(head, [])
        self._check_image(image, min(len(regions), len(self._resized)))
        boxes = Boxes(regions[image].clone())
        (height, width), (resized_h, resized_w) = self.image_sizes[image], self._resized[image]
        boxes.scale(width / resized_w, height / resized_h)
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
        """Return where a block attends from a point.

        Args:
            name: of the block; see `find`.
            point: (x, y) in pixels of the image; of a clip (x, y, frame).
            image: its index in the batch; of a clip that of the view.
            roi: for a block of a RoI head the index of the region in `rois`.
            pairwise: another function of the block's theta and phi, which the model does not
                compute; None: the block's own.

        Raises:
            ValueError: an unknown block, image or region; a point outside of it; a block without
                attention; a function that it cannot have; or the model has not run yet.
        """
        rows, placement = self._rows_of(name, image, roi)
        if pairwise is not None:
            if not isinstance(rows, PairwiseRows):
                raise ValueError(f"pairwise={pairwise!r}: block {name} has no theta and phi")
            rows = rows.with_function(pairwise)
        return self._map(name, rows, placement, placement.position_of(point), point)

    def at_grid(
        self, name: str, *, image: int = 0, roi: int | None = None, most: int = 64
    ) -> list[AttentionMap]:
        """Return where a block attends from a regular grid of query positions inside the image.

        At most ``most`` of them; the other arguments are those of `at`.

        Raises:
            ValueError: as `at`; or ``most`` is below 1.
        """
        rows, placement = self._rows_of(name, image, roi)
        return [
            self._map(name, rows, placement, position, placement.centre_of(position))
            for position in placement.grid(most)
        ]

    @torch.no_grad()
    def _map(
        self,
        name: str,
        rows: AffinityRows,
        placement: Placement,
        position: Sides,
        point: Point,
    ) -> AttentionMap:
        index = int(np.ravel_multi_index(position, placement.shape))
        weights = rows.at([index])[0, 0]  # (*K)
        visible = torch.ones_like(weights, dtype=torch.bool)
        if rows.key_mask is not None:
            visible = rows.key_mask[0].view(weights.shape)  # (1, Q) -> (*K)
        groups = rows.groups if isinstance(rows, PairwiseRows) else None
        if groups and not groups.has_several_regions:
            queries, keys = groups.boxes(rows.shape, rows.key_shape)
            own = keys.number() == queries.number()[index]
            visible = visible & own.view(weights.shape).to(visible.device)
        arrays = weights.double().cpu().numpy(), visible.cpu().numpy()
        return AttentionMap(self.find(name), point, position, *arrays, placement, rows.signed)

    def _rows_of(self, name: str, image: int, roi: int | None) -> tuple[AffinityRows, Placement]:
        """Return the rows of one image or region, and where they lie."""
        name = self.find(name)
        rows, head = self._rows.get(name), self._heads[name]
        if isinstance(rows, ValueError):
            raise rows
        if rows is None or not self._resized or self._padded is None:
            raise ValueError(
                f"block {name} has not run since the recorder was set, or not by a call of the "
                "model; run the model itself inside of `with record_attention(model)`"
            )
        self._check_image(image, len(self._resized))
        shapes, size = (rows.shape, rows.key_shape), self.image_sizes[image]
        if len(rows.shape) != len(size):
            raise ValueError(
                f"block {name} has {len(rows.shape)} dimension(s), the model's input {len(size)}"
            )
        if head is None:
            if roi is not None:
                raise ValueError(f"roi={roi}: block {name} gets whole images; leave roi out")
            resized = self._resized[image]
            return rows.item(image), place_over_image(*shapes, resized, self._padded, size)
        boxes = self.rois(name, image)
        if roi is None or not 0 <= roi < len(boxes):
            raise ValueError(
                f"roi={roi}: block {name} got {len(boxes)} regions of image {image}; give one of "
                "them, counted from 0" + ("" if len(boxes) else " (nothing was detected there)")
            )
        before = sum(map(len, self._regions[head][:image]))
        return rows.item(before + roi), place_in_roi(*shapes, tuple(boxes[roi]), size)

    def _check_image(self, image: int, count: int) -> None:
        if not 0 <= image < count:
            raise ValueError(f"image={image}; the last run had {count} images")

    def begin_run(self, batch: Tensor | Sequence[Mapping[str, Any]]) -> None:
        """Forget the last run; note this one's sizes: of (N, C, *S) or of dictionaries."""
        self._rows, self._regions, self._backbone_next = {}, {}, True
        if isinstance(batch, Tensor):
            self._padded = tuple(batch.shape[2:])
            self._resized = self.image_sizes = (self._padded,) * len(batch)
            return
        self._padded = None
        sizes = [pair for sample in batch for pair in _sizes(sample)]
        self._resized = tuple(resized for resized, _ in sizes)
        self.image_sizes = tuple(given for _, given in sizes)

    def note_batch(self, batch: Tensor) -> None:
        """Note the padded size; a second batch of a run has images of unknown sizes."""
        if not self._backbone_next:
            self._resized = self.image_sizes = ()
        self._padded, self._backbone_next = tuple(batch.shape[2:]), False

    def note_regions(self, head: str, instances: Sequence[Any]) -> None:
        """Note the regions of each image, in pixels of the resized images."""
        boxes = [x.pred_boxes if x.has("pred_boxes") else x.proposal_boxes for x in instances]
        # copies: Detectron2 scales the boxes of its results in place
        self._regions[head] = [one.tensor.detach().cpu().clone() for one in boxes]

    @torch.no_grad()
    def note_rows(self, name: str, block: InsertedBlock, x: Tensor) -> None:
        """Note a block's rows for its input, or the error of asking for them."""
        try:
            rows = block.rows(x)
            if isinstance(rows, PairwiseRows) and rows.w_f is not None:
                rows = replace(rows, w_f=rows.w_f.clone())  # training changes it in place
            self._rows[name] = rows
        except ValueError as error:  # a per-position block; a map the block itself will refuse
            self._rows[name] = error


@contextmanager
def record_attention(model: nn.Module) -> Iterator[AttentionMaps]:
    """Record where the non-local blocks of a model attend while it runs.

    Each block's theta and phi are kept as it computes them (under autocast too, and without the
    batch's padding where the block leaves it out); rows of the affinity are computed for the
    positions that are asked for, never the P x Q matrix. The hooks are removed when the ``with`` is
    left, however it is left; the maps stay.

    Args:
        model: a Detectron2 detector, a video classifier, its backbone, or any module with such
            blocks that takes images (N, C, H, W) or clips (N, C, T, H, W). Blocks of the backbone,
            of the keypoint and the mask head. Of a video model one video, with all its views at
            once (``TEST.VIEWS_PER_BATCH 0``).

    Yields:
        The maps of the model's last run.

    Raises:
        ValueError: the model has no such block, or is compiled or scripted: hooks would not run.

    Example:
        >>> from nonlocal_det.layers import NonLocalBlock
        >>> with record_attention(NonLocalBlock(8)) as maps:
        ...     _ = maps.model(torch.rand(1, 8, 6, 4))
        >>> maps.at(maps.blocks[0], (3.0, 2.0)).position
        (2, 3)
    """
    _refuse_compiled(model)
    blocks = nonlocal_blocks(model)
    if not blocks:
        raise ValueError(
            f"{type(model).__name__} has no non-local block, so there is no attention to record; "
            "use a model whose config's name begins with nl_, or nonlocal_det.add_nonlocal"
        )
    heads = {name: head for name, head in model.named_modules() if isinstance(head, ROI_HEADS)}
    head_of = {
        block: next((name for name in heads if block.startswith(f"{name}." if name else "")), None)
        for block in blocks
    }
    maps = AttentionMaps(model, head_of)
    with ExitStack() as hooks:

        def before(module: nn.Module, call: Callable[..., None]) -> None:
            handle = module.register_forward_pre_hook(
                lambda _, args, kwargs: call(*args, *kwargs.values()), with_kwargs=True
            )
            hooks.callback(handle.remove)

        before(model, lambda images, *_: maps.begin_run(images))
        inner = getattr(model, "module", model)  # of a DistributedDataParallel
        if isinstance(backbone := getattr(inner, "backbone", None), nn.Module):
            before(backbone, maps.note_batch)
        for name, head in heads.items():
            before(head, lambda _, instances, name=name: maps.note_regions(name, instances))
        for name, block in blocks.items():
            before(block, lambda x, name=name, block=block: maps.note_rows(name, block, x))
        yield maps


def _refuse_compiled(model: nn.Module) -> None:
    for name, module in model.named_modules():
        compiled = hasattr(module, "_orig_mod") or module._compiled_call_impl is not None
        if compiled or isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"{name or type(module).__name__} is {'compiled' if compiled else 'scripted'}, and "
                "hooks do not run in such a module; record with the model as it was built "
                "(torch.compile keeps it as model._orig_mod)"
            )


def _sizes(sample: Mapping[str, Any]) -> list[tuple[Sides, Sides]]:
    """Return the size of a sample's image, or of each view of its video, resized and given."""
    views = 1
    if (pixels := sample.get("video")) is None:
        resized = tuple(sample["image"].shape[1:])  # (C, H, W)
    else:
        views = len(pixels) if pixels.dim() == 5 else 1  # (V, C, T, H, W); in training (C, T, H, W)
        resized = tuple(pixels.shape[-3:])
    *time, height, width = resized
    given = (*time, int(sample.get("height", height)), int(sample.get("width", width)))
    return [(resized, given)] * views
