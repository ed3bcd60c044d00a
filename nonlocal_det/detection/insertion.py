"""How a non-local block comes into a network that exists: made from a config, put in by name."""

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from detectron2.config import CfgNode
from torch import nn

from nonlocal_det.layers import (
    GlobalContextBlock,
    InsertedBlock,
    NonLocalBlock,
    PerPositionBlock,
    insert_after,
)

__all__ = [
    "OPERATIONS",
    "BlockFactory",
    "block_from_config",
    "build_block",
    "detection_block",
    "factory_of",
    "generator_of",
    "insert_after",
    "nonlocal_blocks",
]

BlockFactory = Callable[[int], InsertedBlock]
"""Makes the block for a map of so many channels."""

OPERATIONS = ("nonlocal", "per_position", "global_context")
"""The values of ``MODEL.NONLOCAL.OPERATION``: the paper's block, and what it is compared with."""

# Keys that say nothing to the global context block, with their defaults.
_NOT_OF_GLOBAL_CONTEXT = {
    **{"PRESET": "paper", "PAIRWISE": "embedded_gaussian", "KERNEL": "auto"},
    **{"SUBSAMPLE": None, "SCALE": None, "NORM": ""},
}


def detection_block(channels: int) -> NonLocalBlock:
    """The paper's block with no norm, w_z starting at 0: the default beside frozen batch norms."""
    return NonLocalBlock(channels, norm="")


def block_from_config(cfg: CfgNode) -> BlockFactory:
    """The maker of the blocks that ``MODEL.NONLOCAL`` describes.

    Raises:
        ValueError: the node is missing; when called, a value that the block refuses, by key.
    """
    if "NONLOCAL" not in cfg.MODEL:
        raise ValueError(
            "the config has no node MODEL.NONLOCAL; call nonlocal_det.add_nonlocal_config(cfg) "
            "right after get_cfg()"
        )
    return factory_of(cfg.MODEL.NONLOCAL)


def factory_of(node: CfgNode) -> BlockFactory:
    """The maker of the blocks that a node with the keys of ``MODEL.NONLOCAL`` describes.

    Raises:
        ValueError: when called, a value that the block refuses, by key.
    """

    def build(channels: int) -> InsertedBlock:
        try:
            return build_block(node, channels)
        except ValueError as error:  # "norm='LN'; ..." -> "MODEL.NONLOCAL.NORM='LN'; ..."
            named = re.sub(
                r"^(\w+)=", lambda name: f"MODEL.NONLOCAL.{name[1].upper()}=", str(error)
            )
            raise ValueError(named) from error

    return build


def build_block(node: CfgNode, channels: int) -> InsertedBlock:
    """The block that a node with the keys of ``MODEL.NONLOCAL`` describes, for so many channels.

    Raises:
        ValueError: a value that the block refuses.
    """
    if node.OPERATION not in OPERATIONS:
        raise ValueError(
            f"operation={node.OPERATION!r}; expected one of {', '.join(map(repr, OPERATIONS))}"
        )
    if node.OPERATION == "global_context":
        for key, default in _NOT_OF_GLOBAL_CONTEXT.items():
            if node[key] != default:
                raise ValueError(
                    f"{key.lower()}={node[key]!r} says nothing to the global context block "
                    f"(MODEL.NONLOCAL.OPERATION); leave it at {default!r}"
                )
        return GlobalContextBlock(channels, bottleneck_ratio=node.BOTTLENECK_RATIO)
    kind = PerPositionBlock if node.OPERATION == "per_position" else NonLocalBlock
    return kind(
        channels,
        preset=node.PRESET,
        pairwise=node.PAIRWISE,
        kernel=node.KERNEL,
        subsample=node.SUBSAMPLE,
        scale=node.SCALE,
        norm=node.NORM,
        bottleneck_ratio=node.BOTTLENECK_RATIO,
    )


@contextmanager
def generator_of(name: str) -> Iterator[None]:
    """A random generator of the block's own, seeded by the run's seed and the block's name.

    What is built later draws the numbers it would have drawn without the block: a non-local model
    and its baseline twin start from equal weights under equal seeds.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed() ^ zlib.crc32(name.encode()))
        yield


def nonlocal_blocks(model: nn.Module) -> dict[str, InsertedBlock]:
    """The inserted blocks of a model, of any `OPERATIONS`, by their full names, as they were built.

    They are non-local blocks unless ``MODEL.NONLOCAL.OPERATION`` says another.
    """
    return {n: m for n, m in model.named_modules() if isinstance(m, InsertedBlock)}
