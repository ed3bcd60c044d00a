"""A batch as plain data and back, so that a file of it can be loaded without running code."""

from typing import Any

import numpy as np
import torch
from detectron2.structures import (
    BitMasks,
    Boxes,
    Instances,
    Keypoints,
    PolygonMasks,
    RotatedBoxes,
)
from torch import Tensor

_OF_A_TENSOR = {kind.__name__: kind for kind in (BitMasks, Boxes, Keypoints, RotatedBoxes)}
_KIND = "structure"  # the key under which a packed structure says what it is


def pack(value: Any, where: str = "batch") -> Any:
    """Turn Detectron2's structures and numpy's arrays into dicts, numbers and tensors.

    Args:
        value: of a batch: numbers, strings, tensors, arrays, containers and structures.
        where: the way to it, for the error.

    Raises:
        ValueError: something else, as a user's own class.
    """
    if isinstance(value, Instances):
        fields = {key: pack(one, f"{where}.{key}") for key, one in value.get_fields().items()}
        return {_KIND: "Instances", "image_size": list(value.image_size), "fields": fields}
    if type(value).__name__ in _OF_A_TENSOR:
        return {_KIND: type(value).__name__, "tensor": value.tensor.detach().cpu().clone()}
    if isinstance(value, PolygonMasks):
        polygons = [[torch.from_numpy(one) for one in each] for each in value.polygons]
        return {_KIND: "PolygonMasks", "polygons": polygons}
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()  # a view would take its whole storage along
    if isinstance(value, np.ndarray):
        return {_KIND: "array", "tensor": torch.from_numpy(value.copy())}
    if isinstance(value, dict):
        return {str(key): pack(one, f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [pack(one, f"{where}[{n}]") for n, one in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, int | float | str):
        return value
    raise ValueError(
        f"{where} is a {type(value).__name__}, which cannot be saved as data; give the model "
        "numbers, strings, tensors, lists, dicts and Detectron2's structures"
    )


def unpack(value: Any) -> Any:
    """What `pack` was given; tuples are lists, and all is on the CPU.

    Raises:
        ValueError: a structure that is not known.
    """
    if isinstance(value, list):
        return [unpack(one) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_KIND)
    if kind is None:
        return {key: unpack(one) for key, one in value.items()}
    if kind == "Instances":
        height, width = value["image_size"]
        fields = {key: unpack(one) for key, one in value["fields"].items()}
        return Instances((height, width), **fields)
    if kind == "PolygonMasks":
        return PolygonMasks([[one.numpy() for one in each] for each in value["polygons"]])
    if kind == "array":
        return value["tensor"].numpy()
    if kind not in _OF_A_TENSOR:
        raise ValueError(
            f"structure={kind!r}; expected one of Instances, PolygonMasks, "
            f"{', '.join(_OF_A_TENSOR)}: the file is of another version, or damaged"
        )
    return _OF_A_TENSOR[kind](value["tensor"])
