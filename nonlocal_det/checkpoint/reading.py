"""Files of weights, read as data: `.pth`, `.pkl`, `.pyth` and `.safetensors`."""

import logging
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from .archive import check_archive
from .arrays import read_arrays
from .errors import CURE, DamagedError, RefusedError
from .opcodes import scan_pickle

logger = logging.getLogger("nonlocal_det")

# what the files of torch before 1.6 begin with: a pickled number; four pickles follow it
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_OLD_PICKLES = 5

Checkpoint = dict[str, Any]


def read_checkpoint(path: Path, *, trust: bool = False) -> Checkpoint:
    """Read a file of weights, whoever made it; nothing in it is executed.

    Args:
        path: a `.pth` of torch, a `.pkl` of Detectron2's zoo, of Caffe2 or MSRA, a `.pyth` of
            pycls, or a `.safetensors`; anything else is read as torch's.
        trust: execute what the file says, as `pickle.load` does.

    Returns:
        ``model``: tensors or arrays by name; perhaps ``matching_heuristics`` (the names are not
        Detectron2's), ``__author__``, and what else a checkpoint of a training holds.

    Raises:
        RefusedError: it holds more than data, or claims more than it has; says what.
        DamagedError: it is cut off, changed, or no such file.
    """
    if trust:
        logger.warning(
            f"--trust-checkpoint: {path} is executed as a program as it is loaded; whoever made it "
            "can do on this machine whatever you can"
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix == ".pkl":
        return _from_arrays(_unpickle(path) if trust else read_arrays(path), path)
    content = _torch_load(path, weights_only=False) if trust else read_torch(path)
    if not isinstance(content, dict):
        raise DamagedError(f"{path} holds a {type(content).__name__}; expected a dict of tensors")
    if path.suffix == ".pyth":
        return _from_pycls(content, path)
    return content if "model" in content else {"model": content}


def read_torch(path: Path) -> Any:
    """Read a file of `torch.save` with ``weights_only``, checked before and after.

    Raises:
        RefusedError: as `read_checkpoint`.
        DamagedError: as `read_checkpoint`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(_OLD_TORCH))
        if head == _OLD_TORCH:
            file.seek(0)
            for _ in range(_OLD_PICKLES):
                scan_pickle(file, size - file.tell(), path)
        elif head.startswith(b"PK"):
            check_archive(path)
        elif head.startswith(b"\x80") or b"ustar" in file.read(512):
            raise RefusedError(f"{path} is a bare pickle or a tar, not torch's format; {CURE}")
        else:
            raise DamagedError(f"{path} is not a file of torch: it begins with {head[:8]!r}")
    content = _torch_load(path, weights_only=True)
    _check_tensors(content, size, path)
    return content


def _torch_load(path: Path, *, weights_only: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=weights_only)
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL |class |callable )([\w.]+)", str(error))
        what = found[1] if found else str(error).strip().split("\n")[-1]
        raise RefusedError(
            f"{path} is not a file of tensors alone: refused {what}, which its pickle asks for; "
            f"{CURE}"
        ) from error
    except Exception as error:  # a damaged file can end in any error
        raise DamagedError(f"{path} is damaged: {str(error).split(chr(10))[0]}") from error


def _check_tensors(content: Any, size: int, path: Path) -> None:
    """Refuse tensors that are larger than the file, which repeat one number over absurd shapes."""
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor) and value.numel() * value.element_size() > size:
            raise RefusedError(
                f"{path}: refused a tensor of shape {tuple(value.shape)}, which the file of {size} "
                "bytes cannot hold"
            )
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += list(value)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
        model = load_file(path)
    except Exception as error:  # the library's own class derives from Exception alone
        raise DamagedError(f"{path} is damaged or no safetensors file: {error}") from error
    heuristics = {"matching_heuristics": True} if said.get("matching_heuristics") else {}
    return {"model": model, "__author__": said.get("author", ""), **heuristics}


def _unpickle(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file, encoding="latin1")


def _from_arrays(content: Any, path: Path) -> Checkpoint:
    """Detectron2's zoo says its name; Detectron's and MSRA's files have Caffe2's names."""
    if not isinstance(content, dict):
        raise DamagedError(f"{path} holds a {type(content).__name__}; expected a dict of arrays")
    if "model" in content and "__author__" in content:
        return content
    blobs = content.get("blobs", content)
    if not isinstance(blobs, dict):
        raise DamagedError(f"{path} holds a {type(blobs).__name__}; expected a dict of arrays")
    model = {key: value for key, value in blobs.items() if not str(key).endswith("_momentum")}
    return {"model": model, "__author__": "Caffe2", "matching_heuristics": True}


def _from_pycls(content: dict[str, Any], path: Path) -> Checkpoint:
    state = content.get("model_state")
    if not isinstance(state, dict):
        raise DamagedError(f"{path} has no model_state, which a .pyth of pycls has")
    model = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    return {"model": model, "__author__": "pycls", "matching_heuristics": True}
