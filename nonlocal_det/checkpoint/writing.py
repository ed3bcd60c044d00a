"""One checkpoint's way to the disk: plain data alone, so that it can be read back as data."""

import errno
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from nonlocal_det.files import Sink, free_bytes, write_atomically

from .errors import CheckpointError

_LEAVES = (int, float, complex, str, bytes, bool, type(None), torch.Size, torch.dtype)
_OVERHEAD = 4096  # bytes of a record and its pickle, generously


def write_checkpoint(path: Path, data: dict[str, Any]) -> None:
    """Write a `.pth`, atomically, if there is room; torch notes each record's CRC-32.

    Args:
        path: of the file; its folder is there.
        data: plain, as `check_content` says.

    Raises:
        CheckpointError: the data is not plain.
        OSError: there is no room, or a write has failed; what was at ``path`` is there still.
    """
    check_content(data)
    needed, free = size_of(data), free_bytes(path.parent)
    if free < needed:
        sizes = f"it takes {needed / 2**20:.1f} MiB, {free / 2**20:.1f} MiB are free"
        raise OSError(errno.ENOSPC, sizes)

    def write(sink: Sink) -> None:
        torch.save(data, sink)  # type: ignore[arg-type]

    write_atomically(path, write)


def check_content(data: dict[str, Any]) -> None:
    """Refuse what a later load would refuse.

    Args:
        data: of a checkpoint.

    Raises:
        CheckpointError: a value is not a tensor, number, string, or container of them; says where.
    """
    waiting: list[tuple[str, Any]] = [("checkpoint", data)]
    seen = set()
    while waiting:
        where, value = waiting.pop()
        if id(value) in seen or isinstance(value, torch.Tensor) or type(value) in _LEAVES:
            continue
        seen.add(id(value))
        if type(value) in (dict, OrderedDict):
            waiting += [(f"{where}.{key}", one) for key, one in value.items()]
            waiting += [(f"a key of {where}", key) for key in value]
        elif type(value) in (list, tuple, set):
            waiting += [(f"{where}[{n}]", one) for n, one in enumerate(value)]
        else:
            raise CheckpointError(
                f"{where} is a {type(value).__module__}.{type(value).__name__}, which could not be "
                "loaded as data; save numbers, strings, tensors, lists and dicts"
            )


def size_of(data: dict[str, Any]) -> int:
    """About how many bytes of disk a checkpoint takes; at least what it does."""
    waiting: list[Any] = [data]
    storages: dict[int, int] = {}
    seen, total = set(), 1 << 16
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            storages[storage.data_ptr() or id(value)] = storage.nbytes()
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += list(value)
        elif isinstance(value, str | bytes):
            total += 4 * len(value)
    return total + sum(storages.values()) + _OVERHEAD * len(storages)
