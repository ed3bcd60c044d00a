"""What the blocks of a checkpoint compute, which no name or shape of its tensors shows."""

from dataclasses import fields
from typing import Any

import yaml
from torch import nn

from nonlocal_det.layers import BlockOptions, NonLocalBlock

FORM = ("pairwise", "subsample", "scale", "over")
"""The fields of `BlockOptions` that change a block's numbers and none of its tensors."""


def describe_other_form(made_by: Any, model: nn.Module) -> str:
    """Compare the form of a model's blocks with that of the training that made a checkpoint.

    Args:
        made_by: of the checkpoint, perhaps another project's; its ``config`` is the training's, as
            text.
        model: as it was built.

    Returns:
        The keys and values of the training, as "MODEL.NONLOCAL.SCALE False"; "" where nothing
        differs, or the checkpoint does not say.
    """
    blocks = [module for module in model.modules() if isinstance(module, NonLocalBlock)]
    keys = {f.name: f.metadata["key"] for f in fields(BlockOptions) if "key" in f.metadata}
    try:
        node = yaml.safe_load(made_by["config"])["MODEL"]["NONLOCAL"]
        node.setdefault("OVER", "spacetime")  # older trainings have no groups
        leaves = {name: key.rpartition(".")[2] for name, key in keys.items()}
        trained = BlockOptions(**{n: node[leaf] for n, leaf in leaves.items() if leaf in node})
    except (
        AttributeError,
        TypeError,
        KeyError,
        ValueError,
        yaml.YAMLError,
    ):  # no config of this package
        return ""
    if not blocks:
        return ""
    built = blocks[0].options
    return " ".join(
        f"{keys[name]} {getattr(trained, name)}"
        for name in FORM
        if getattr(trained, name) != getattr(built, name)
    )
