"""A step that went wrong, in a file that can be run again on another machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from detectron2.utils.events import EventStorage
from torch import nn

from nonlocal_det.checkpoint import load_weights, read_torch, write_checkpoint
from nonlocal_det.detection.config import add_nonlocal_config

from .diagnosis import Finding, diagnose
from .packing import pack, unpack
from .parts import Part, images_of
from .precision import Precision, lay_out
from .random_state import RandomState, as_it_was

FOLDER = "nonfinite"
"""Where in ``OUTPUT_DIR`` the files go."""
FORMAT = "nonlocal_det batch 1"


@dataclass(frozen=True)
class Circumstances:
    """What a file says beside the batch.

    Args:
        config: of the training, as YAML; empty where the model came from none.
        problem: what was not finite, in words.
        iteration: of the step, from 0.
        process, processes: whose batch it is, and of how many.
        gradients: whether the losses were finite and the gradients not.
        weights: the file of the weights, in the same folder.
        weights_iteration: of the step before which they were saved: this one, or an earlier one
            that was skipped.
        made_by: commit, command, versions.
    """

    config: str
    problem: str
    iteration: int
    process: int
    processes: int
    gradients: bool
    weights: str
    weights_iteration: int
    made_by: Mapping[str, Any]


def save_weights(path: Path, model: nn.Module, iteration: int) -> None:
    """Write the weights as they were before a step.

    Raises:
        OSError: there is no room, or the disk refused.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(path, {"model": dict(model.state_dict()), "iteration": iteration})


def save_batch(path: Path, part: Part, precision: Precision, about: Circumstances) -> None:
    """Write a batch with all that computing it again takes, but the weights.

    Args:
        path: ends in ``.pth``.
        part: with ``data`` and ``random``.
        precision: as it was computed.
        about: the rest.

    Raises:
        OSError: there is no room, or the disk refused.
        ValueError: the batch holds something that is not data.
    """
    assert part.random is not None
    content = {
        "format": FORMAT,
        "batch": pack(part.data),
        "share": part.share,
        "random": part.random.as_plain(),
        "device": str(precision.device),
        "autocast": str(precision.dtype).removeprefix("torch.") if precision.dtype else "",
        "scale": precision.scale,
        **{key: pack(value, key) for key, value in vars(about).items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(path, content)


@dataclass(frozen=True)
class Replay:
    """What a batch that is run again has shown.

    Args:
        about: what its file says.
        losses: by name; empty where the model refused its own numbers.
        images: of the batch.
        finding: None if all was finite this time.
    """

    about: Circumstances
    losses: dict[str, float]
    images: list[str]
    finding: Finding | None


def replay(path: Path, device: str | None = None) -> Replay:
    """Run a saved batch again: the same config, weights, random states and precision.

    Args:
        path: of `save_batch`, with the weights beside it.
        device: by default the one it ran on, if this machine has such.

    Raises:
        FileNotFoundError: it is not there, or its weights are not.
        ValueError: it is no such file, or not loadable as data.
    """
    content = _read(path)
    about = Circumstances(**{key: content[key] for key in Circumstances.__dataclass_fields__})
    where = torch.device(device or _usable(content["device"]))
    weights = path.parent / about.weights
    if not weights.is_file():
        raise FileNotFoundError(f"{weights} is not there; put it beside {path.name} again")
    dtype = getattr(torch, content["autocast"]) if content["autocast"] else None
    model = lay_out(_build(about.config, where, path), dtype)
    load_weights(model, weights)
    model.train()
    precision = Precision(where, dtype, content["scale"])
    random = RandomState.from_plain(content["random"])
    part = Part(unpack(content["batch"]), content["share"], random)
    losses = _losses(model, part, precision)
    finding = diagnose(model, part, precision, gradients=about.gradients)
    return Replay(about, losses, images_of(part.data), finding)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; they are in OUTPUT_DIR/{FOLDER}")
    content = read_torch(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no {FORMAT!r}; give a batch*.pth of OUTPUT_DIR/{FOLDER}")
    return content


def _usable(device: str) -> str:
    """The device itself, or the CPU where there is no such."""
    return device if not device.startswith("cuda") or torch.cuda.is_available() else "cpu"


def _build(config: str, device: torch.device, path: Path) -> nn.Module:
    cfg = get_cfg()
    add_nonlocal_config(cfg)
    try:
        cfg.merge_from_other_cfg(CfgNode.load_cfg(config))  # plain YAML
    except KeyError as error:
        raise ValueError(
            f"{path}: its config has a key that is not known here ({error.args[0]}); call "
            "nonlocal_det.training.step.replay where the project that added the key is imported"
        ) from error
    cfg.MODEL.DEVICE = str(device)
    return build_model(cfg)


def _losses(model: nn.Module, part: Part, precision: Precision) -> dict[str, float]:
    with EventStorage(), as_it_was(part.random, precision.device), torch.no_grad():
        try:
            losses = precision.losses(model, part.data)
        except FloatingPointError:  # as Detectron2's RPN; the finding says where
            return {}
    return {name: float(value) for name, value in losses.items()}


def describe_replay(result: Replay) -> str:
    """A few lines: what the file says, the losses and the finding now."""
    about = result.about
    lines = [f"then: {about.problem}, at iteration {about.iteration}"]
    if about.processes > 1:
        lines[0] += f", in process {about.process} of {about.processes}; norms over all see one now"
    if about.weights_iteration != about.iteration:
        lines.append(f"weights: those of iteration {about.weights_iteration}, skipped before it")
    lines.append(f"images: {', '.join(result.images) or 'unknown'}")
    losses = ", ".join(f"{name} {value:.6g}" for name, value in result.losses.items())
    lines.append(f"losses now: {losses or 'none: the model refuses its own numbers'}")
    if result.finding is None:
        return "\n".join([*lines, "now: everything is finite"])
    lines.append(f"now: {result.finding.where}")
    if result.finding.images:
        lines.append(f"alone it happens with: {', '.join(result.finding.images)}")
    return "\n".join(lines)
