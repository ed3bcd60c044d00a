"""What each non-local block does in training: one that adds nothing would be a silent failure."""

import logging
from collections import Counter
from functools import partial
from typing import TypeGuard

import torch
from detectron2.engine import HookBase
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nonlocal_det.layers import InsertedBlock, NonLocalBlock, PerPositionBlock
from nonlocal_det.layers.pairwise import SOFTMAX
from nonlocal_det.layers.precision import autocast_off

logger = logging.getLogger("nonlocal_det")

PATIENCE = 500
"""After so many iterations a block should have begun to learn."""

QUERIES = 16
"""So many query positions of a map are looked at."""

WIDE = 128
"""Inner channels from which scores of unscaled products are large from the start."""

ONE_HOT = 0.8
"""A share of queries with a key that has over 0.9 of the weight: above it comes a warning."""


class BlockWatch(HookBase):
    """Log what every block does when the metrics are written.

    It is ``||w_z y|| / ||x||`` (with a norm in the block ``||norm(w_z y)||``: what is added to x in
    any case), and of a softmax, at `QUERIES` positions of each map, the standard deviation of a
    query's scores and the entropy of its weights: 0 where one key has all, 1 where all are equal.

    In the other iterations no hook is registered. It has to come before the hooks that save and
    write.

    Args:
        blocks: by their names.
        period: iterations between two writings, as `PeriodicWriter` has it.
    """

    def __init__(self, blocks: dict[str, InsertedBlock], period: int = 20) -> None:
        self.blocks = blocks
        self.period = period
        self._sums: dict[str, Tensor] = {}  # (6): squares of both norms, then of `softmax_sums`
        self._handles: list[RemovableHandle] = []
        self._warned: set[str] = set()
        self._warned_one_hot = False

    def before_train(self) -> None:
        """Warn of blocks in a row that nothing keeps in bounds."""
        free = [
            name
            for name, block in self.blocks.items()
            if has_softmax(block)
            and not block.scale
            and isinstance(block.norm, nn.Identity)
            and block.inner_channels >= WIDE
        ]
        rows = Counter(name.rpartition(".")[0] for name in free)
        stacked = [name for name in free if rows[name.rpartition(".")[0]] > 1]
        if stacked:
            logger.warning(
                f"{', '.join(stacked)}: blocks in a row of {WIDE} or more inner channels, without "
                "scale and norm; their scores can grow until the softmax is one-hot and the "
                "gradients leave float32. Set MODEL.NONLOCAL.SCALE True or MODEL.NONLOCAL.NORM"
            )

    def before_step(self) -> None:
        """Register the hooks, if this iteration is written."""
        done = self.trainer.iter + 1
        if done % self.period == 0 or done == self.trainer.max_iter:
            self._handles = [
                block.register_forward_hook(partial(self._add, name))
                for name, block in self.blocks.items()
            ]

    def _add(self, name: str, block: nn.Module, args: tuple[Tensor, ...], z: Tensor) -> None:
        """Add the sums; a step may call a block several times."""
        x, z = args[0].detach(), z.detach()
        norms = [torch.linalg.vector_norm(t, dtype=torch.float32).square() for t in (z - x, x)]
        softmax = softmax_sums(block, x) if has_softmax(block) else norms[0].new_zeros(4)
        sums = torch.cat([torch.stack(norms), softmax])
        self._sums[name] = self._sums.get(name, 0) + sums

    def after_step(self) -> None:
        """Write what was seen and remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if not self._sums:
            return
        ratios, softmax = {}, {}
        for name, sums in self._sums.items():
            added, base = sums[:2].sqrt().tolist()
            *values, count = sums[2:].tolist()
            if base:  # a head without a region has no map
                ratios[name] = added / base
            if count:
                softmax[name] = [value / count for value in values]
        self._sums = {}
        self._put("nl_response", ratios)
        self._put("nl_score_spread", {name: spread for name, (spread, _, _) in softmax.items()})
        self._put("nl_entropy", {name: entropy for name, (_, entropy, _) in softmax.items()})
        text = ", ".join(f"{name} {ratio:.3g}" for name, ratio in ratios.items())
        logger.info(f"non-local blocks, ||w_z y|| / ||x||: {text or 'no map was seen'}")
        if softmax:
            text = ", ".join(f"{n} {spread:.3g} / {e:.2f}" for n, (spread, e, _) in softmax.items())
            logger.info(f"non-local blocks, spread of the scores / entropy of the softmax: {text}")
        self._warn_dead([name for name, ratio in ratios.items() if ratio == 0])
        self._warn_one_hot({n: share for n, (_, _, share) in softmax.items() if share > ONE_HOT})

    def _put(self, group: str, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.trainer.storage.put_scalar(f"{group}/{name}", value, smoothing_hint=False)

    def _warn_dead(self, dead: list[str]) -> None:
        new = [name for name in dead if name not in self._warned]
        if not new or self.trainer.iter + 1 < PATIENCE:
            return
        self._warned.update(new)
        logger.warning(
            f"after {self.trainer.iter + 1} iterations {', '.join(new)} still adds exactly 0 to "
            "its map: it has learnt nothing. Is the learning rate 0, is it left out of the "
            "optimizer or frozen, or was a checkpoint loaded in which both w_z and its norm are 0?"
        )

    def _warn_one_hot(self, shares: dict[str, float]) -> None:
        """Warn once, of all blocks together."""
        if not shares or self._warned_one_hot:
            return
        self._warned_one_hot = True
        scaled = all(block.scale for name, block in self.blocks.items() if name in shares)
        logger.warning(
            f"iteration {self.trainer.iter + 1}: the softmax is one-hot for nearly all queries ("
            + ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
            + "): each receives from a single key, and theta and phi hardly learn; "
            + ("lower SOLVER.BASE_LR" if scaled else "set MODEL.NONLOCAL.SCALE True")
        )


def has_softmax(block: nn.Module) -> TypeGuard[NonLocalBlock]:
    """Tell whether a block's weights are a softmax over the positions of its map."""
    return (
        isinstance(block, NonLocalBlock)
        and not isinstance(block, PerPositionBlock)  # its keys are no positions
        and block.pairwise in SOFTMAX
    )


@torch.no_grad()
def softmax_sums(block: NonLocalBlock, x: Tensor) -> Tensor:
    """Sum over query positions of a map x (N, C, *S) how its softmax looks at the keys.

    Args:
        block: of a softmax form.
        x: the map that goes into it.

    Returns:
        (4): the standard deviations of the scores; the entropies, as shares of the largest
        possible; how many queries have a weight above 0.9; and how many there are. Padding and
        images with a single key are left out.
    """
    rows = block.rows(x)
    at = torch.linspace(0, rows.theta.shape[1] - 1, QUERIES, device=x.device).long().unique()
    theta, phi = rows.theta[:, at].float() * rows.scale, rows.phi.float()
    mask = None if block.padding_of_batch is None else block.padding_of_batch.mask(x)
    keys = rows.key_mask
    real = phi.new_ones(phi.shape[:2]).bool() if keys is None else keys
    real = real.unsqueeze(1)  # (N, Q) -> (N, 1, Q)
    if rows.groups is not None:
        boxes = rows.groups.boxes(rows.shape, rows.key_shape)
        groups = [box.number().to(x.device) for box in boxes]
        real = real & (groups[0][at].unsqueeze(1) == groups[1])  # (N, 1, Q) & (B, Q) -> (N, B, Q)
    counts = real.sum(2)  # (N, 1 or B)
    valid = (counts > 1).expand(-1, len(at))  # (N, B)
    if mask is not None:
        valid = valid & mask.flatten(2)[:, 0, at]  # (N, 1, *S) -> (N, B)
    with autocast_off(x.device):
        scores = torch.matmul(theta, phi.transpose(1, 2))  # (N, B, Ci) @ (N, Ci, Q)
    mean = (scores * real).sum(2, keepdim=True) / counts.unsqueeze(2)
    spread = (((scores - mean) * real).square().sum(2) / counts).sqrt()
    weights = scores.masked_fill(~real, float("-inf")).softmax(2)
    entropy = torch.special.entr(weights).sum(2) / counts.clamp(min=2).log()
    one_hot = (weights.amax(2) > 0.9).float()
    return torch.stack([(v * valid).sum() for v in (spread, entropy, one_hot, valid.float())])
