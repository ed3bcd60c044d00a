"""A batch with numbers that are not finite, in a file that can be run again on another machine."""

import io
import pickle
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.modeling import build_model
from detectron2.structures import (
    BitMasks,
    Boxes,
    Instances,
    Keypoints,
    PolygonMasks,
    RotatedBoxes,
)
from detectron2.utils.events import EventStorage
from torch import Tensor, nn
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from nonlocal_det.checkpoint import load_weights
from nonlocal_det.configs import load_config
from nonlocal_det.files import write_atomically

from .micro_batch import MicroBatch, rng_restored
from .nan_search import Diagnosis, diagnose
from .precision import Precision, lay_out

FOLDER = "nonfinite"
"""Where in ``OUTPUT_DIR`` the files go."""
FORMAT = "nonlocal_det batch 2"

_BATCH_CLASSES: list[Any] = [
    *(BitMasks, Boxes, Instances, Keypoints, PolygonMasks, RotatedBoxes),
    *(np.ndarray, np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]),
    *(np.dtype, *{type(np.dtype(code)) for code in "?bBhHiIlLqQefd"}),
]
"""What a file may hold beside plain data and tensors; the two functions make arrays, numbers."""


@dataclass(frozen=True)
class SavedBatch:
    """A micro-batch with all that computing it again takes, but the weights.

    Args:
        batch: what the model was called with.
        share: of the whole batch's images.
        rng_state: of torch's generators before the model was called.
        device: it was computed on.
        autocast: dtype of the mixed precision; empty: none.
        scale: factor on the losses.
        config: of the training, as YAML; empty where the model came from none.
        problem: what was not finite, in words.
        iteration: of the step, from 0.
        process, processes: whose batch it is, and of how many.
        gradients: whether the losses were finite and the gradients not.
        weights: the file of the weights, in the same folder.
        weights_iteration: of the step before which they were saved: this one, or an earlier one
            that was left out.
        made_by: commit, command, versions.
    """

    batch: Any
    share: float
    rng_state: list[Tensor]
    device: str
    autocast: str
    scale: float
    config: str
    problem: str
    iteration: int
    process: int
    processes: int
    gradients: bool
    weights: str
    weights_iteration: int
    made_by: dict[str, Any]


def save_batch(path: Path, saved: SavedBatch) -> None:
    """Write a batch that `replay` reads; make its folder.

    Raises:
        OSError: there is no room, or the disk refused.
        ValueError: the batch holds an object of another class than Detectron2's, torch's, numpy's.
    """
    buffer = io.BytesIO()
    try:
        torch.save({"format": FORMAT, **vars(saved)}, buffer)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(str(error)) from error
    buffer.seek(0)
    with safe_globals(_BATCH_CLASSES):
        refused = get_unsafe_globals_in_checkpoint(buffer)
    if refused:
        raise ValueError(
            f"it holds {', '.join(sorted(refused))}, which cannot be saved as data; give the model "
            "numbers, strings, tensors, lists, dicts and Detectron2's structures"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def read_batch(path: Path) -> SavedBatch:
    """Read a file of `save_batch`, as data: nothing in it is executed.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no such file, damaged, or holds other objects.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; they are in OUTPUT_DIR/{FOLDER}")
    try:
        with safe_globals(_BATCH_CLASSES):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can end in any error
        raise ValueError(f"{path} cannot be read as data: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a {FORMAT!r}; give a batch*.pth of OUTPUT_DIR/{FOLDER}")
    return SavedBatch(**{field.name: content[field.name] for field in fields(SavedBatch)})


class Replay(NamedTuple):
    """A saved batch, computed again: losses by name, none where the model refuses its numbers."""

    saved: SavedBatch
    losses: dict[str, float]
    images: list[str]
    diagnosis: Diagnosis | None


def replay(path: Path, device: str | None = None) -> Replay:
    """Compute a saved batch again: the same config, weights, random numbers and precision.

    Args:
        path: of `save_batch`, with the weights beside it.
        device: by default the one it ran on; the CPU where there is no GPU.

    Raises:
        FileNotFoundError: it is not there, or its weights are not.
        ValueError: it is no such file, damaged, or its config has an unknown key.
    """
    saved = read_batch(path)
    usable = not saved.device.startswith("cuda") or torch.cuda.is_available()
    where = torch.device(device or (saved.device if usable else "cpu"))
    weights = path.parent / saved.weights
    if not weights.is_file():
        raise FileNotFoundError(f"{weights} is not there; put it beside {path.name} again")
    dtype = getattr(torch, saved.autocast) if saved.autocast else None
    model = lay_out(_build(saved.config, where), dtype)
    load_weights(model, weights)
    model.train()
    precision = Precision(where, dtype, saved.scale)
    batch = MicroBatch(saved.batch, saved.share, saved.rng_state)
    losses: dict[str, Tensor] = {}
    again = rng_restored(batch.rng_state, where)
    with EventStorage(), again, torch.no_grad(), suppress(FloatingPointError):
        losses = precision.losses(model, batch.data)  # Detectron2's RPN may refuse its own numbers
    values = {name: float(value) for name, value in losses.items()}
    diagnosis = diagnose(model, batch, precision, gradients=saved.gradients)
    return Replay(saved, values, batch.images, diagnosis)


def _build(config: str, device: torch.device) -> nn.Module:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "config_of_the_batch.yaml"
        file.write_text(config)
        return build_model(load_config(str(file), device=str(device)))


def describe_replay(result: Replay) -> str:
    """Describe in a few lines what the file says, the losses and the diagnosis now."""
    saved = result.saved
    lines = [f"then: {saved.problem}, at iteration {saved.iteration}"]
    if saved.processes > 1:
        lines[0] += f", in process {saved.process} of {saved.processes}; norms over all see one now"
    if saved.weights_iteration != saved.iteration:
        lines.append(f"weights: those of iteration {saved.weights_iteration}, skipped before it")
    lines.append(f"images: {', '.join(result.images) or 'unknown'}")
    losses = ", ".join(f"{name} {value:.6g}" for name, value in result.losses.items())
    lines.append(f"losses now: {losses or 'none: the model refuses its own numbers'}")
    if result.diagnosis is None:
        return "\n".join([*lines, "now: everything is finite"])
    lines.append(f"now: {result.diagnosis.where}")
    if result.diagnosis.images:
        lines.append(f"alone it happens with: {', '.join(result.diagnosis.images)}")
    return "\n".join(lines)
