"""Rows of the affinity, one at a time: where chosen positions look, without the P x Q matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .groups import Groups
from .pairwise import affinity


@dataclass(frozen=True)
class SharedRow:
    """The row of a block in which all queries have the same one: global context.

    Attributes:
        shape: *S of the queries.
        weights: of the keys, (N, *K).
        key_mask: bool (N, Q), True where a key is real; None: all are.
        signed: whether an affinity may be below 0.
    """

    shape: tuple[int, ...]
    weights: Tensor
    key_mask: Tensor | None = None
    signed: bool = False

    @property
    def key_shape(self) -> tuple[int, ...]:
        """*K of the keys."""
        return tuple(self.weights.shape[1:])

    def item(self, index: int) -> "SharedRow":
        """Return the rows of one image or RoI of the batch, as a batch of one."""
        mask = None if self.key_mask is None else self.key_mask[index : index + 1]
        return replace(self, weights=self.weights[index : index + 1], key_mask=mask)

    def at(self, positions: Sequence[int]) -> Tensor:
        """Compute the rows (N, B, *K) of B query positions, which are counted through *S."""
        row = self.weights.unsqueeze(1)  # (N, *K) -> (N, 1, *K)
        return row.expand(-1, len(positions), *[-1] * len(self.key_shape))


@dataclass(frozen=True)
class PairwiseRows:
    """The rows f(x_i, x_j) / C(x) of a non-local block with one batch, computed when asked for.

    *Source*: Wang et al., Non-local Neural Networks, Eq. 1; see `affinity`.

    Attributes:
        shape: *S of the queries.
        key_shape: *K of the keys, after subsampling.
        theta: the embedded queries (N, P, Ci).
        phi: the embedded keys (N, Q, Ci).
        pairwise, scale, w_f: as `affinity` takes them.
        key_mask: bool (N, Q), True where a key is real; None: all are.
        groups: of positions that do not see each other; None: all do.
    """

    shape: tuple[int, ...]
    key_shape: tuple[int, ...]
    theta: Tensor
    phi: Tensor
    pairwise: str
    scale: float
    w_f: Tensor | None
    key_mask: Tensor | None
    groups: Groups | None = None

    @property
    def signed(self) -> bool:
        """Whether an affinity may be below 0: only the dot product's."""
        return self.pairwise == "dot_product"

    def item(self, index: int) -> "PairwiseRows":
        """Return the rows of one image or RoI of the batch, as a batch of one."""
        item = slice(index, index + 1)
        mask = None if self.key_mask is None else self.key_mask[item]
        return replace(self, theta=self.theta[item], phi=self.phi[item], key_mask=mask)

    def with_function(self, pairwise: str) -> "PairwiseRows":
        """Return what the rows would be, if the same theta and phi went into another function.

        No model computes them: they say what of a look is the function's doing.

        Args:
            pairwise: one of `PAIRWISE`.

        Raises:
            ValueError: the concatenation, which needs a ``w_f`` that these rows have not.
        """
        if pairwise == "concatenation" and self.w_f is None:
            raise ValueError(
                f"pairwise={pairwise!r}: a block of the {self.pairwise} has not learnt the w_f "
                "that it needs; take a model that was trained with it"
            )
        return replace(self, pairwise=pairwise)

    def at(self, positions: Sequence[int]) -> Tensor:
        """Compute the rows (N, B, *K) of B query positions, which are counted through *S.

        Note:
            O(B Q Ci): one row of the P x Q matrix for each position.
        """
        if self.groups is not None:
            return self._at_in_groups(positions, self.groups)
        queries = torch.as_tensor(list(positions), device=self.theta.device)
        rows = affinity(
            self.theta[:, queries],  # (N, P, Ci) -> (N, B, Ci)
            self.phi,
            pairwise=self.pairwise,
            scale=self.scale,
            w_f=self.w_f,
            key_mask=self.key_mask,
        )
        return rows.unflatten(2, self.key_shape)  # (N, B, Q) -> (N, B, *K)

    def _at_in_groups(self, positions: Sequence[int], groups: Groups) -> Tensor:
        """Compute the rows of each position's own group; the other keys have 0."""
        of_queries, of_keys = groups.number(self.shape), groups.number(self.key_shape)
        rows = self.theta.new_zeros(len(self.theta), len(positions), len(of_keys))
        for row, position in enumerate(positions):
            keys = (of_keys == of_queries[position]).nonzero()[:, 0].to(self.theta.device)
            mask = None if self.key_mask is None else self.key_mask[:, keys]
            if mask is not None:
                mask = mask | ~mask.any(1, keepdim=True)  # see `Groups.split_mask`
            rows[:, row, keys] = affinity(
                self.theta[:, [position]],
                self.phi[:, keys],
                pairwise=self.pairwise,
                scale=self.scale,
                w_f=self.w_f,
                key_mask=mask,
            )[:, 0].to(rows.dtype)
        return rows.unflatten(2, self.key_shape)


AffinityRows = PairwiseRows | SharedRow
