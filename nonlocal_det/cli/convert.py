"""Files of other projects' weights for the zoo's models: read, convert, check, print, write."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from nonlocal_det.checkpoint import check_target, convert_weights, read_tensors, write_weights
from nonlocal_det.checkpoint.convert import (
    SOURCES,
    Choices,
    Conversion,
    check_fit,
    convert_state,
    to_baseline,
    to_twin,
)
from nonlocal_det.model_zoo.models import build_config

PROJECTS = (*SOURCES, "baseline", "twin")
"""Where a file may come from: `SOURCES`, or a model of a pair, to become the other."""


@dataclass(frozen=True)
class Request:
    """What `convert_file` is asked for beside the two files.

    Args:
        project: one of `PROJECTS`; None: the format alone changes.
        config: name or path of the config whose model must compute the same; for a ``baseline``
            that of the twin.
        overrides: KEY VALUE pairs merged into it.
        choices: see `Choices`.
        drop_learnt: see `to_baseline`.
        trust: execute what the source says.
    """

    project: str | None = None
    config: str | None = None
    overrides: tuple[str, ...] = ()
    choices: Choices = field(default_factory=Choices)
    drop_learnt: bool = False
    trust: bool = False


def convert_file(source: Path, target: Path, request: Request) -> str:
    """Convert a file of weights.

    Args:
        source: any file that `read_checkpoint` reads.
        target: ends in ``.safetensors`` or ``.pth``.
        request: what is wanted.

    Returns:
        What to print: the map, the options, what was left over, the notes.

    Raises:
        FileNotFoundError: no such source or config.
        ValueError: the weights cannot compute here what they do there; nothing is written.
    """
    check_target(target)
    if request.project is None:
        count = convert_weights(source, target, trust=request.trust)
        return f"{target}: {count} tensors of {source}"
    if request.project == "baseline" and request.config is None:
        raise ValueError("--from baseline needs the twin: --config-file nl_mask_rcnn_R50")
    model = _model(request)
    state, _ = read_tensors(source, trust=request.trust)
    conversion = _convert(state, request, model)
    # several names may be one tensor, as a norm's zeros that were made here
    write_weights({name: one.clone() for name, one in conversion.state.items()}, target)
    return f"{conversion}\n{target}: {len(conversion.state)} tensors of {source}"


def _model(request: Request) -> nn.Module | None:
    if request.config is None:
        return None
    # a twin's blocks are wanted as they start; of any other model the names and shapes alone
    device = "cpu" if request.project == "baseline" else "meta"
    return build_config(request.config, request.overrides, device=device)


def _convert(
    state: dict[str, torch.Tensor], request: Request, model: nn.Module | None
) -> Conversion:
    if request.project == "baseline":
        assert model is not None
        return to_twin(state, model)
    if request.project == "twin":
        conversion = to_baseline(state, drop_learnt=request.drop_learnt)
    else:
        conversion = convert_state(state, str(request.project), request.choices)
    if model is not None:
        check_fit(conversion, model)
    return conversion
