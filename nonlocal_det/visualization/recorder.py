"""A recorder by hook: the blocks' forward is not touched, and returns one thing only."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from detectron2.modeling.roi_heads.keypoint_head import BaseKeypointRCNNHead
from detectron2.modeling.roi_heads.mask_head import BaseMaskRCNNHead
from torch import Tensor, nn

from nonlocal_det.layers import InsertedBlock, PairwiseRows, nonlocal_blocks

from .recorded import AttentionMaps

ROI_HEADS = (BaseKeypointRCNNHead, BaseMaskRCNNHead)


@contextmanager
def record_attention(model: nn.Module) -> Iterator[AttentionMaps]:
    """Watch where the non-local blocks of a model look while it runs.

    Each block's theta and phi are kept as it computes them (under autocast too, and blind to the
    batch's padding where the block is); rows of the affinity are computed for the positions that
    are asked for, never the P x Q matrix. The hooks are gone when the ``with`` is left, however it
    is left; the maps stay.

    Args:
        model: a Detectron2 detector, its backbone, or any module with such blocks that takes
            images (N, C, H, W). Blocks of the backbone, of the keypoint and the mask head.

    Yields:
        What was seen, of the model's last run; see `AttentionMaps`.

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
    maps = AttentionMaps(model, {name: _head_of(name, heads) for name in blocks})
    with ExitStack() as hooks:
        _watch_inputs(model, maps, hooks)
        for name, head in heads.items():
            _before(head, lambda _, args, name=name: _see_regions(maps, name, args), hooks)
        for name, block in blocks.items():
            _before(block, lambda module, args, n=name: _see_map(maps, n, module, args), hooks)
        yield maps


def _before(module: nn.Module, hook: Any, hooks: ExitStack) -> None:
    hooks.callback(module.register_forward_pre_hook(hook).remove)


def _watch_inputs(model: nn.Module, maps: AttentionMaps, hooks: ExitStack) -> None:
    """Learn the images' sizes from what goes into the model, and the padded size further in."""

    def see_images(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        images: Any = next(iter((*args, *kwargs.values())))
        if isinstance(images, Tensor):
            maps.see_tensor(images)
        else:
            maps.see_images(images)

    handle = model.register_forward_pre_hook(see_images, with_kwargs=True)
    hooks.callback(handle.remove)
    inner = getattr(model, "module", model)  # of a DistributedDataParallel
    if isinstance(backbone := getattr(inner, "backbone", None), nn.Module):
        _before(backbone, lambda _, args: maps.see_padded(args[0].shape[-2:]), hooks)


def _see_regions(maps: AttentionMaps, name: str, args: Sequence[Any]) -> None:
    fields = [one.pred_boxes if one.has("pred_boxes") else one.proposal_boxes for one in args[1]]
    # copies: Detectron2 scales the boxes of its results in place
    maps.see_regions(name, [boxes.tensor.detach().cpu().clone() for boxes in fields])


def _see_map(maps: AttentionMaps, name: str, block: InsertedBlock, args: Sequence[Tensor]) -> None:
    with torch.no_grad():
        try:
            rows = block.rows(args[0])
            if isinstance(rows, PairwiseRows) and rows.w_f is not None:
                rows = replace(rows, w_f=rows.w_f.clone())  # training changes it in place
            maps.see_rows(name, rows)
        except ValueError as error:  # a per-position block; a map the block itself will refuse
            maps.see_rows(name, error)


def _head_of(block: str, heads: dict[str, nn.Module]) -> str | None:
    return next((name for name in heads if block.startswith(f"{name}." if name else "")), None)


def _refuse_compiled(model: nn.Module) -> None:
    for name, module in model.named_modules():
        compiled = hasattr(module, "_orig_mod") or module._compiled_call_impl is not None
        if compiled or isinstance(module, torch.jit.ScriptModule):
            what = "compiled" if compiled else "scripted or traced"
            raise ValueError(
                f"{name or type(module).__name__} is {what}, and hooks do not run in such a "
                "module; record with the model as it was built (torch.compile keeps it as "
                "model._orig_mod)"
            )
