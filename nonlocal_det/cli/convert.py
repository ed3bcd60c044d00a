"""Convert weights of other projects to this one, or this one's to another format.

Without --from the tensors of any file of weights are written as .safetensors or .pth, under their
names. With --from they get our names, shapes and scale, and the map is printed.

Examples, the first after quickstart:
  %(prog)s output/quick/nl_mask_keypoint_rcnn_R18/model_final.pth output/nl.safetensors
  %(prog)s caffe2.pkl nl_i3d.pth --from caffe2 --config-file video/nl_i3d_R50_8x8
  %(prog)s mask_rcnn_R50.pth start.pth --from baseline --config-file nl_mask_rcnn_R50
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from detectron2.config import CfgNode
from torch import nn

from nonlocal_det.checkpoint import check_target, convert_weights, read_tensors, write_weights
from nonlocal_det.checkpoint.convert import (
    SOURCES,
    Choices,
    Conversion,
    block_norm,
    check_fit,
    convert_state,
    to_baseline,
    to_twin,
)
from nonlocal_det.checkpoint.data_names import KEY
from nonlocal_det.configs import load_config
from nonlocal_det.layers import PAIRWISE, SUBSAMPLE
from nonlocal_det.model_zoo.models import build_config

from .errors import one_line_errors

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
        keep_norm: its ``norm`` counts; else that of the config's blocks.
        drop_learnt: see `to_baseline`.
        trust: execute what the source says.
    """

    project: str | None = None
    config: str | None = None
    overrides: tuple[str, ...] = ()
    choices: Choices = field(default_factory=Choices)
    keep_norm: bool = False
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
    cfg, model = _model(request)
    state, said = read_tensors(source, trust=request.trust)
    said = {KEY: said[KEY]} if KEY in said else {}
    conversion = _convert(state, request, model, cfg)
    # several names may be one tensor, as a norm's zeros that were made here
    write_weights({name: one.clone() for name, one in conversion.state.items()}, target, said)
    return f"{conversion}\n{target}: {len(conversion.state)} tensors of {source}"


def _model(request: Request) -> tuple[CfgNode | None, nn.Module | None]:
    if request.config is None:
        return None, None
    # a twin's blocks are wanted as they start; of any other model the names and shapes alone
    device = "cpu" if request.project == "baseline" else "meta"
    model = build_config(request.config, request.overrides, device=device)
    return load_config(request.config, request.overrides), model


def _convert(
    state: dict[str, torch.Tensor],
    request: Request,
    model: nn.Module | None,
    cfg: CfgNode | None,
) -> Conversion:
    if request.project == "baseline":
        assert model is not None
        return to_twin(state, model)
    if request.project == "twin":
        conversion = to_baseline(state, drop_learnt=request.drop_learnt)
    else:
        choices = request.choices
        if cfg is not None and "VIDEO" in cfg.MODEL:
            choices = replace(choices, ndim=3, prefix="backbone.")
        if model is not None and not request.keep_norm:
            choices = replace(choices, norm=block_norm(model))
        conversion = convert_state(state, str(request.project), choices)
    if model is not None:
        check_fit(conversion, model, cfg)
    return conversion


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a .pth, .pkl, .pyth or .safetensors file")
    parser.add_argument("target", type=Path, help="a .safetensors or .pth file")
    parser.add_argument(
        "--from",
        dest="project",
        choices=PROJECTS,
        help="whose names the file has; baseline and twin: of one of our or Detectron2's models, "
        "to the other of the pair",
    )
    parser.add_argument("--config-file", help="refuse what this model would not compute the same")
    parser.add_argument("--pairwise", choices=PAIRWISE, help="where it is not the usual one")
    parser.add_argument("--subsample", choices=SUBSAMPLE, help="likewise")
    parser.add_argument("--scale", choices=("yes", "no"), help="likewise")
    parser.add_argument(
        "--norm",
        choices=("", "BN"),
        help="fold the blocks' norm into w_z, or keep it; default: as the config has it, else fold",
    )
    parser.add_argument(
        "--place",
        nargs=2,
        action="append",
        default=[],
        metavar=("THEIRS", "OURS"),
        help="put a block elsewhere: --place nl_1 backbone.bottom_up.res4.nl4; repeatable",
    )
    parser.add_argument("--drop-learnt", action="store_true", help="with --from twin")
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load the source by executing it: whoever made it can do on this machine what you can",
    )
    parser.add_argument("opts", nargs="*", default=[], help="KEY VALUE pairs of --config-file")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, convert and print the map."""
    args = build_parser().parse_intermixed_args(argv)
    choices = Choices(
        pairwise=args.pairwise,
        subsample=args.subsample,
        scale=None if args.scale is None else args.scale == "yes",
        norm=args.norm or "",
        places={"" if theirs == "." else theirs: ours for theirs, ours in args.place},
    )
    request = Request(
        project=args.project,
        config=args.config_file,
        overrides=tuple(args.opts),
        choices=choices,
        keep_norm=args.norm is not None,
        drop_learnt=args.drop_learnt,
        trust=args.trust_checkpoint,
    )
    with one_line_errors():
        print(convert_file(args.source, args.target, request))
