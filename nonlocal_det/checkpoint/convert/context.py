"""One global context block of another project, layer by layer, as our `GlobalContextBlock`'s."""

from torch import Tensor

from .blocks import Block, pointwise
from .conversion import Choices, Row


def context_tensors(
    block: Block, ours: str, choices: Choices
) -> tuple[dict[str, Tensor], list[Row], dict[str, object]]:
    """The tensors of `GlobalContextBlock`, their rows of the map, and the options they need.

    Args:
        block: what the file has.
        ours: full name of our block, ``""`` for none.
        choices: ``ndim`` counts.

    Raises:
        ValueError: a convolution has a window.
    """
    dot = f"{ours}." if ours else ""
    made: dict[str, Tensor] = {}
    rows: list[Row] = []
    for (layer, name), tensor in block.tensors.items():
        theirs, value, how = block.names[layer, name], tensor, ""
        if layer == "w_k" and name == "weight":
            value = pointwise(tensor, theirs, choices.ndim)
        elif layer == "norm":
            value = tensor.reshape(-1)  # (Ci, 1, 1) -> (Ci)
            how = "flat"
        elif name == "weight":
            value = pointwise(tensor, theirs, 0)  # (O, I, 1, 1) -> (O, I)
            how = "convolution to linear layer"
        made[f"{dot}{layer}.{name}"] = value
        rows.append(Row(theirs, f"{dot}{layer}.{name}", tuple(value.shape), how))
    inner, width = block.tensors["w_v1", "weight"].shape[:2]
    return made, rows, {"OPERATION": "global_context", "BOTTLENECK_RATIO": inner / width}
