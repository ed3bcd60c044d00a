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
        whole_phi, mask: phi (N, P, Ci) and its mask (N, P) before they are subsampled, for what
            regions exchange.
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
    whole_phi: Tensor | None = None
    mask: Tensor | None = None

    @property
    def signed(self) -> bool:
        """Whether an affinity may be below 0: only the dot product's."""
        return self.pairwise == "dot_product"

    def item(self, index: int) -> "PairwiseRows":
        """Return the rows of one image or RoI of the batch, as a batch of one."""
        item = slice(index, index + 1)
        key_mask, whole_phi, mask = (
            None if t is None else t[item] for t in (self.key_mask, self.whole_phi, self.mask)
        )
        theta, phi = self.theta[item], self.phi[item]
        return replace(
            self, theta=theta, phi=phi, key_mask=key_mask, whole_phi=whole_phi, mask=mask
        )

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
        if self.groups is None:
            queries = torch.as_tensor(list(positions), device=self.theta.device)
            rows = self._affinity(queries, self.phi, self.key_mask)
        else:
            rows = self._in_groups(positions, self.groups)
        return rows.unflatten(2, self.key_shape)  # (N, B, Q) -> (N, B, *K)

    def _in_groups(self, positions: Sequence[int], groups: Groups) -> Tensor:
        """Compute the rows (N, B, Q) of each position's own group; the other keys have 0.

        What a position receives through the same place of every region is added up over these.
        """
        boxes = groups.boxes(self.shape, self.key_shape)
        of_queries, of_keys = (box.number() for box in boxes)
        if not groups.has_several_regions:
            return self._of_groups(positions, of_queries, of_keys)
        rows = self.theta.new_zeros(len(self.theta), len(positions), len(of_keys))
        place = replace(boxes[0], across=True).number()
        for image in range(len(rows)):
            item = self.item(image)
            assert item.whole_phi is not None
            index, real, places = boxes[0].nearest(item.mask, self.theta.device)
            of_places = places.number()
            for row, position in enumerate(positions):
                same = of_places == place[position]
                via, mask = index[0, same], real[:, same]  # a position of every region
                across = item._affinity([position], item.whole_phi[:, via], mask)  # (1, 1, G)
                within = item._of_groups(via.tolist(), of_queries, of_keys)
                rows[image, row] = torch.matmul(across, within)[0, 0]  # (1, 1, G) @ (1, G, Q)
        return rows

    def _of_groups(self, positions: Sequence[int], of_queries: Tensor, of_keys: Tensor) -> Tensor:
        """Compute the rows (N, B, Q) by the number of each query's and each key's group."""
        rows = self.theta.new_zeros(len(self.theta), len(positions), len(of_keys))
        for row, position in enumerate(positions):
            keys = (of_keys == of_queries[position]).nonzero()[:, 0].to(self.theta.device)
            mask = None if self.key_mask is None else self.key_mask[:, keys]
            if mask is not None:
                mask = mask | ~mask.any(1, keepdim=True)  # see `Boxes.split_mask`
            row_of_group = self._affinity([position], self.phi[:, keys], mask)
            rows[:, row, keys] = row_of_group[:, 0].to(rows.dtype)
        return rows

    def _affinity(
        self, queries: Sequence[int] | Tensor, phi: Tensor, key_mask: Tensor | None
    ) -> Tensor:
        return affinity(
            self.theta[:, queries],  # (N, P, Ci) -> (N, B, Ci)
            phi,
            pairwise=self.pairwise,
            scale=self.scale,
            w_f=self.w_f,
            key_mask=key_mask,
        )


AffinityRows = PairwiseRows | SharedRow
