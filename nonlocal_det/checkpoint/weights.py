"""Weights alone, between formats: out of a training's checkpoints, to and from safetensors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nonlocal_det.files import Sink, write_atomically

from .checkpointer import SafeCheckpointer
from .data_names import KEY, read_names
from .reading import read_checkpoint
from .report import as_tensors
from .writing import write_checkpoint

_ENDINGS = (".safetensors", ".pth")


def load_weights(model: nn.Module, path: Path, *, trust: bool = False) -> None:
    """Load a file whose every tensor must fit.

    Args:
        model: changed in place.
        path: of any kind that `read_checkpoint` reads.
        trust: as there.

    Raises:
        ValueError: a tensor is missing, left over or of another shape; or it is no file of weights.
    """
    checkpointer = SafeCheckpointer(model, trust=trust)
    checkpointer.load(str(path))
    report = checkpointer.report
    if report is not None and not report.fits():
        raise ValueError(f"{path} does not fit: {'; '.join(report.details())}")


def convert_weights(source: Path, target: Path, *, trust: bool = False) -> int:
    """Write the tensors of any file of weights as `.safetensors` or `.pth`, atomically.

    The optimizer and the rest of a training's state stay behind. Names are not changed; that they
    are Caffe2's is noted, so that loading the new file matches them as it did the old one's.

    Args:
        source: as `read_checkpoint` reads it.
        target: ends in ``.safetensors`` or ``.pth``.
        trust: as `read_checkpoint`.

    Returns:
        The number of tensors.

    Raises:
        FileNotFoundError: there is no such source.
        ValueError: the target's ending, or the source is no file of weights.
    """
    check_target(target)
    model, said = read_tensors(source, trust=trust)
    write_weights(model, target, said)
    return len(model)


def check_target(target: Path) -> None:
    """Refuse a name that `write_weights` could not write, before any work.

    Raises:
        ValueError: it ends in neither ``.safetensors`` nor ``.pth``.
    """
    if target.suffix not in _ENDINGS:
        raise ValueError(f"{target}: expected a name that ends in {' or '.join(_ENDINGS)}")


def read_tensors(source: Path, *, trust: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A file's tensors, each with memory of its own, and what `write_weights` notes beside them.

    Args:
        source: as `read_checkpoint` reads it; of another project too, whose tensors are in a node
            ``state_dict``.
        trust: as there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no file of weights.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file; give the path of a file of weights")
    loaded = read_checkpoint(source, trust=trust)
    state = loaded["model"]
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    # copies: safetensors refuses tensors that share memory
    model = {
        name: value.clone(memory_format=torch.contiguous_format)
        for name, value in as_tensors(state, str(source)).items()
    }
    said: dict[str, Any] = {"__author__": str(loaded.get("__author__", ""))}
    if loaded.get("matching_heuristics"):
        said["matching_heuristics"] = True
    if names := read_names(loaded.get(KEY), str(source)):
        said[KEY] = names
    return model, said


def write_weights(
    model: dict[str, Tensor], target: Path, said: Mapping[str, Any] | None = None
) -> None:
    """Write tensors as `.safetensors` or `.pth`, atomically.

    Args:
        model: by name; no two share memory.
        target: the file.
        said: perhaps ``__author__``, ``matching_heuristics`` and `KEY`; see `read_checkpoint`.

    Raises:
        OSError: there is no room, or a write has failed; what was there is there still.
    """
    said = {"__author__": "", **(said or {})}
    if target.suffix == ".pth":
        write_checkpoint(target, {"model": model, **said})
        return
    notes = {"author": said["__author__"], "format": "pt"}
    if "matching_heuristics" in said:
        notes["matching_heuristics"] = "true"
    if KEY in said:
        notes[KEY] = json.dumps(said[KEY])
    content = save(model, notes)

    def write(sink: Sink) -> None:
        sink.write(content)

    write_atomically(target, write)
