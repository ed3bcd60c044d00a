"""Layers whose channels are what a data set's metadata names: classes, keypoints.

A room registers its layers here, so that whoever loads weights can put the channels of a file into
the order of other data without a word of any task.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

_KNOWN = ("torch", "torchvision", "fvcore", "detectron2", "nonlocal_det")
"""Packages whose layers with named channels are registered; not ``detectron2.projects``."""


def _one(owner: Any) -> int:
    return 1


@dataclass(frozen=True)
class NamedOutput:
    """A child layer whose channels are named.

    Its channels are ``repeat`` times the names, of which each has ``each`` channels in a row; what
    is left at the end, as the background, has no name. A layer of ``each`` channels in all is
    shared by the names.

    Args:
        layer: name of the child.
        names: key of the data set's metadata, as ``thing_classes``.
        each: channels of a name, from the owner of the layer.
        repeat: how often the names follow one another, from the owner of the layer.
    """

    layer: str
    names: str
    each: Callable[[Any], int] = _one
    repeat: Callable[[Any], int] = _one


_OUTPUTS: dict[type[nn.Module], tuple[NamedOutput, ...]] = {}


def register_named_outputs(owner: type[nn.Module], *outputs: NamedOutput) -> None:
    """Name the channels of a module's child layers.

    Args:
        owner: the class of the module; also its subclasses have these layers.
        outputs: its layers with named channels.
    """
    _OUTPUTS[owner] = outputs


def named_keys(model: nn.Module) -> list[str]:
    """List the keys of metadata that name channels of a model, as ``["thing_classes"]``."""
    return sorted({output.names for _, _, output in _outputs_of(model)})


def reorder_outputs(
    model: nn.Module, state: dict[str, Tensor], key: str, order: Sequence[int]
) -> list[str]:
    """Put the channels of the layers that a key names into another order.

    Args:
        model: it says which layers these are.
        state: tensors by the model's names; changed in place. Those of other shapes stay.
        key: of metadata, as ``thing_classes``.
        order: for each name of the result its index now.

    Returns:
        The names of the layers.

    Raises:
        ValueError: the model has modules of other packages, whose layers nobody has registered, or
            a layer has too few channels.
    """
    foreign = sorted({_class(m) for m in model.modules() if not _is_known(m)})
    if foreign:
        raise ValueError(f"channels of {', '.join(foreign)} may have these names too, unregistered")
    layers = []
    for path, owner, output in _outputs_of(model):
        if output.names != key:
            continue
        layer, each, repeat = getattr(owner, output.layer), output.each(owner), output.repeat(owner)
        name = f"{path}.{output.layer}" if path else output.layer
        for leaf, wanted in layer.named_parameters(recurse=False):
            value = state.get(f"{name}.{leaf}")
            if value is None or value.shape != wanted.shape:
                continue
            axis = int(isinstance(layer, _ConvTransposeNd) and leaf == "weight")
            channels = value.shape[axis]
            if channels == each:
                continue
            period = channels // repeat
            if channels % repeat or period < len(order) * each:
                raise ValueError(f"{name} has {channels} channels for {len(order)} names")
            index = list(range(channels))
            for start in range(0, channels, period):
                moved = [start + old * each + k for old in order for k in range(each)]
                index[start : start + len(moved)] = moved
            state[f"{name}.{leaf}"] = value[(slice(None),) * axis + (index,)]
        layers.append(name)
    return layers


def _outputs_of(model: nn.Module) -> Iterator[tuple[str, nn.Module, NamedOutput]]:
    """Yield the path of each owner, the owner, and the outputs that it has."""
    for path, module in model.named_modules():
        for owner, outputs in _OUTPUTS.items():
            if isinstance(module, owner):
                yield from (
                    (path, module, output) for output in outputs if hasattr(module, output.layer)
                )


def _class(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _is_known(module: nn.Module) -> bool:
    name = _class(module)
    return name.split(".")[0] in _KNOWN and not name.startswith("detectron2.projects.")
