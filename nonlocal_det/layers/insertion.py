"""How a block comes into a network that exists: as a named child, so that no other name moves."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .attention_rows import AffinityRows
from .options import BlockOptions
from .padding import Padding


class InsertedBlock(nn.Module):
    """A residual block that is put into a network: the identity until it has learnt.

    A subclass has ``in_channels``, keeps the shape of its map, and names by `zero_init_layer` the
    layer whose zeros make it the identity.
    """

    in_channels: int

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False
        self.padding_of_batch: Padding | None = None  # see layers/padding.py

    @property
    def zero_init_layer(self) -> nn.Module:
        """The layer whose parameters are all 0 at the start."""
        raise NotImplementedError(f"{type(self).__name__} has no zero_init_layer")

    def attention(self, x: Tensor, query: tuple[int, ...]) -> Tensor:
        """Return where one query position looks; see `NonLocal.attention`."""
        raise NotImplementedError(f"{type(self).__name__} has no attention")

    def rows(self, x: Tensor) -> AffinityRows:
        """Return the rows of the affinity, computed when asked for; see `NonLocal.rows`."""
        raise NotImplementedError(f"{type(self).__name__} has no attention")

    def freeze(self) -> "InsertedBlock":
        """Stop learning, as Detectron2's ``ResNet.freeze`` asks of every child of a stage.

        Raises:
            ValueError: the block is still the identity; frozen, it would stay so for ever.
        """
        if not any(parameter.any() for parameter in self.zero_init_layer.parameters()):
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


def nonlocal_blocks(model: nn.Module) -> dict[str, InsertedBlock]:
    """Return the inserted blocks of a model, of any operation, by their full names."""
    return {n: m for n, m in model.named_modules() if isinstance(m, InsertedBlock)}


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
        raise ValueError(f"no module {after!r} to follow; expected one of {list(parent._modules)}")
    if name in parent._modules:
        raise ValueError(f"there is a module {name!r} already; each block needs its own position")
    children = list(parent.named_children())
    parent._modules.clear()
    for child_name, child in children:
        parent.add_module(child_name, child)
        if child_name == after:
            parent.add_module(name, module)


def insert_blocks(
    stages: Mapping[str, nn.Sequential],
    after_blocks: Sequence[Sequence[int]],
    options: BlockOptions,
    ndim: int = 2,
) -> None:
    """Insert a block after chosen residual blocks: after block k of a stage comes ``nl<k>``.

    Args:
        stages: ``res2`` to ``res5`` of a ResNet, or the first of them; their children with numbers
            as names are residual blocks, which have ``out_channels``. Changed in place.
        after_blocks: for each of res2, res3, res4, res5 the residual blocks to follow, as Python
            indices: -2 is right before the last.
        options: of every block.
        ndim: dimensions of the map.

    Raises:
        ValueError: no position at all, one that does not exist or is given twice, or one in a
            frozen stage, where the block could never learn.
    """
    for name, index in _positions(stages, after_blocks):
        stage = stages[name]
        with block_generator(f"{name}.nl{index}"):
            block = options.build(getattr(stage, str(index)).out_channels, ndim)
        insert_after(stage, str(index), f"nl{index}", block.to(next(stage.parameters()).device))


STAGES = ("res2", "res3", "res4", "res5")


def _positions(
    stages: Mapping[str, nn.Sequential], after_blocks: Sequence[Sequence[int]]
) -> list[tuple[str, int]]:
    """Return the positions as (stage, index from 0), or raise the reason why they cannot be."""
    key = f"MODEL.NONLOCAL.AFTER_BLOCKS={[list(stage) for stage in after_blocks]}"
    if len(after_blocks) != len(STAGES):
        raise ValueError(f"{key}; expected four lists, for {', '.join(STAGES)}")
    if not any(after_blocks):
        raise ValueError(
            f"{key} leaves the backbone without a non-local block; name a position, as [[], [], "
            "[-2], []], or use the plain builder (MODEL.BACKBONE.NAME build_resnet_fpn_backbone)"
        )
    positions: list[tuple[str, int]] = []
    for name, wanted in zip(STAGES, after_blocks, strict=True):
        if not wanted:
            continue
        if name not in stages:
            raise ValueError(f"{key}: this ResNet has no {name}, it ends at {[*stages][-1]}")
        count = sum(child.isdigit() for child, _ in stages[name].named_children())
        for position in wanted:
            if not -count <= position < count:
                raise ValueError(
                    f"{key}: {name} has {count} residual blocks, so position {position} does not "
                    f"exist; expected {-count}..{count - 1}"
                )
        if not any(parameter.requires_grad for parameter in stages[name].parameters()):
            raise ValueError(
                f"{key}: {name} is frozen, so a block in it would stay the identity for ever; set "
                f"MODEL.BACKBONE.FREEZE_AT to at most {STAGES.index(name) + 1} or choose a later "
                "stage"
            )
        positions += [(name, position % count) for position in wanted]
    if len(set(positions)) < len(positions):
        raise ValueError(f"{key} names the same position twice: {positions}")
    return positions


_states: dict[tuple[int, str], list[int]] = {}


@contextmanager
def block_generator(name: str) -> Iterator[None]:
    """Seed the CPU's generator for one block by the run's seed and the block's name.

    What is built later draws the numbers it would have drawn without the block: a non-local model
    and its baseline start from equal weights under equal seeds. A second model that is built
    without seeding anew finds the generator in another state, and gets other blocks; so does one
    of another architecture that is built after another in the same process.
    """
    generator = torch.default_generator  # torch.manual_seed would seed GPUs as well
    seed, state = generator.initial_seed(), generator.get_state()
    states, now = _states.setdefault((seed, name), []), hash(state.numpy().tobytes())
    if now not in states:
        states.append(now)
    place = states.index(now)  # 0: the first model; the same again where it is seeded anew
    key = f"{name}#{place}" if place else name
    try:
        generator.manual_seed(seed ^ zlib.crc32(key.encode()))
        yield
    finally:
        generator.set_state(state)
