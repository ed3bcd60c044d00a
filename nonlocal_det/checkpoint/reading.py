"""Files of weights, read as data: `.pth`, `.pkl`, `.pyth` and `.safetensors`."""

import json
import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from .arrays import read_arrays
from .convert.sources import MMCV, RESNET_NOTE
from .data_names import KEY
from .errors import CURE, DamagedError, RefusedError

logger = logging.getLogger("nonlocal_det")

Checkpoint = dict[str, Any]


def read_checkpoint(path: Path, *, trust: bool = False) -> Checkpoint:
    """Read a file of weights, whoever made it; nothing in it is executed.

    Args:
        path: a `.pth` of torch, a `.pkl` of Detectron2's zoo, of Caffe2 or MSRA, a `.pyth` of
            pycls, or a `.safetensors`; anything else is read as torch's.
        trust: execute what the file says, as `pickle.load` does.

    Returns:
        ``model``: tensors or arrays by name; perhaps ``matching_heuristics`` (the names are not
        Detectron2's), ``__author__``, the names of the data, and what else a training has saved.

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
    content = read_torch(path, trust=trust)
    if not isinstance(content, dict) or not content:
        raise DamagedError(f"{path} holds {_name_kind(content)}; expected a dict of tensors")
    if path.suffix == ".pyth":
        return _from_pycls(content, path)
    if "model" in content:
        return content
    if "layer1.0.conv1.weight" in content and "conv1.weight" in content:
        return _from_torchvision(content, path)
    return {"model": content}


def read_torch(path: Path, *, trust: bool = False) -> Any:
    """Read a file of `torch.save`, its checksums compared with its content.

    Args:
        path: of the file.
        trust: as `read_checkpoint`; else it is loaded with ``weights_only``.

    Raises:
        RefusedError: as `read_checkpoint`.
        DamagedError: as `read_checkpoint`.
    """
    with path.open("rb") as file:
        head = file.read(8)
    is_archive = head.startswith(b"PK")
    sizes = _check_archive(path) if is_archive else set()
    if not is_archive and not head.startswith(b"\x80"):  # of a pickle, as torch before 1.6 wrote
        raise DamagedError(f"{path} is not a file of torch: it begins with {head!r}")
    # A mapped archive is read within its own bounds, also where its pickle claims more than a
    # record has, which some versions of torch would read from the memory behind it.
    mapped = is_archive and not trust

    def place(storage: Any, _: str) -> Any:
        if mapped and storage.nbytes() not in sizes:
            raise DamagedError(f"no record has the {storage.nbytes()} bytes of a storage")
        return storage.clone() if mapped else storage

    try:
        content = torch.load(path, map_location=place, weights_only=not trust, mmap=mapped)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|class|callable) ([\w.]+)", str(error))
        other = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
        what = named[1] if named else other[1] if other else str(error).strip().split("\n")[-1]
        raise RefusedError(
            f"{path} is not a file of tensors alone: refused {what}, which its pickle asks for; "
            f"{CURE}"
        ) from error
    except Exception as error:  # a damaged file can end in any error
        raise DamagedError(f"{path} is damaged: {str(error).split(chr(10))[0]}") from error
    if not trust:
        _check_tensors(content, path)
    return content


def _check_archive(path: Path) -> set[int]:
    """Compare each record with its CRC-32, and refuse what `torch.save` never writes.

    Returns:
        The sizes of its records.

    Raises:
        DamagedError: a record has changed, or is compressed, doubled, beside the one folder or
            overlapping another.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            names = {record.filename.lower() for record in records}  # as torch looks for them
            folders = {record.filename.split("/")[0] for record in records}
            outside = [name for name in names if ".." in name]
            if len(names) != len(records) or len(folders) != 1 or outside:
                raise DamagedError(
                    f"{path} has records twice, in {len(folders)} folders or outside: {outside}"
                )
            compressed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
            if compressed or sum(one.file_size for one in records) > path.stat().st_size:
                raise DamagedError(f"{path} claims more bytes than it has: it is compressed or cut")
            changed = archive.testzip()
    except DamagedError:
        raise
    except Exception as error:  # a damaged archive can end in any error
        raise DamagedError(f"{path} is cut off, changed or no archive: {error}") from error
    if changed is not None:
        raise DamagedError(f"{path} is not what was written: {changed} has another CRC-32")
    return {record.file_size for record in records}


def _check_tensors(content: Any, path: Path) -> None:
    """Refuse tensors that are larger than the file, which repeat one number over absurd shapes."""
    size = path.stat().st_size
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
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
        model = load_file(path)
        names = {KEY: json.loads(said[KEY])} if KEY in said else {}
    except Exception as error:  # the library's own class derives from Exception alone
        raise DamagedError(f"{path} is damaged or no safetensors file: {error}") from error
    heuristics = {"matching_heuristics": True} if said.get("matching_heuristics") else {}
    return {"model": model, "__author__": said.get("author", ""), **heuristics, **names}


def _unpickle(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file, encoding="latin1")


def _from_arrays(content: Any, path: Path) -> Checkpoint:
    """Detectron2's zoo says its name; Detectron's and MSRA's files have Caffe2's names."""
    if isinstance(content, dict) and "model" in content and "__author__" in content:
        return content
    blobs = content.get("blobs", content) if isinstance(content, dict) else content
    if not isinstance(blobs, dict) or not blobs:
        raise DamagedError(f"{path} holds {_name_kind(blobs)}; expected a dict of arrays")
    model = {
        key: value
        for key, value in blobs.items()
        if not str(key).endswith("_momentum") and key not in ("lr", "model_iter")
    }
    return {"model": model, "__author__": "Caffe2", "matching_heuristics": True}


def _name_kind(content: Any) -> str:
    return "an empty dict" if isinstance(content, dict) else f"a {type(content).__name__}"


def _from_pycls(content: dict[str, Any], path: Path) -> Checkpoint:
    state = content.get("model_state")
    if not isinstance(state, dict):
        raise DamagedError(f"{path} has no model_state, which a .pyth of pycls has")
    model = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    return {"model": model, "__author__": "pycls", "matching_heuristics": True}


def _from_torchvision(state: dict[str, Any], path: Path) -> Checkpoint:
    """Rename a ResNet of torchvision, as Detectron2's converter does."""
    logger.info(f"{path} has the names of torchvision's ResNet: {RESNET_NOTE}")
    model = {MMCV.tensor(name) or f"stem.{name}": value for name, value in state.items()}
    return {"model": model, "__author__": "torchvision", "matching_heuristics": True}
