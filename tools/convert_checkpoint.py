"""Weights of other projects as ours, or ours in another format: convert_checkpoint.py IN OUT.

Without --from the tensors of any file of weights are written as .safetensors or .pth, under their
names. With --from they get our names, shapes and scale, and the map is printed.
"""

import argparse
from pathlib import Path

from nonlocal_det.checkpoint.convert import Choices
from nonlocal_det.cli.convert import PROJECTS, Request, convert_file
from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.layers import PAIRWISE, SUBSAMPLE


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
        "--norm", choices=("", "BN"), default="", help="fold the norm into w_z (default), or keep"
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


def main() -> None:
    """Parse the command line, convert and print the map."""
    args = build_parser().parse_intermixed_args()
    choices = Choices(
        pairwise=args.pairwise,
        subsample=args.subsample,
        scale=None if args.scale is None else args.scale == "yes",
        norm=args.norm,
        places={"" if theirs == "." else theirs: ours for theirs, ours in args.place},
    )
    request = Request(
        project=args.project,
        config=args.config_file,
        overrides=tuple(args.opts),
        choices=choices,
        drop_learnt=args.drop_learnt,
        trust=args.trust_checkpoint,
    )
    with one_line_errors():
        print(convert_file(args.source, args.target, request))


if __name__ == "__main__":
    main()
