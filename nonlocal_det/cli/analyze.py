"""``tools/analyze_model.py``: the costs of one config, of two side by side, or of all."""

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from nonlocal_det.analysis import ModelCosts, VideoCosts, detector_costs, video_costs
from nonlocal_det.analysis.cost_tables import (
    Table,
    caption,
    difference_table,
    memory_table,
    parts_table,
    ratio_table,
    summary_table,
    verdict_table,
    video_table,
)
from nonlocal_det.analysis.module_costs import DEVICES
from nonlocal_det.analysis.video_costs import MEMORY, RATIOS
from nonlocal_det.configs import config_names, load_config
from nonlocal_det.layers import PAIRWISE, SUBSAMPLE

from .errors import one_line_errors

VERDICT_CONFIGS = ("nl_mask_rcnn_R50", "nl_mask_rcnn_R101", "nl_mask_rcnn_X152")
"""The paper's detectors with one block; their variants get a verdict on "< 5 %"."""

EXAMPLES = """
Examples:
  %(prog)s --config-file nl_mask_rcnn_R50
  %(prog)s --config-file nl_mask_rcnn_R50 --against mask_rcnn_R50 --json costs.json
  %(prog)s --config-file nl_mask_rcnn_R50 --proposals 300 MODEL.NONLOCAL.SUBSAMPLE none
  %(prog)s --config-file video/nl_i3d_R50_32x2 --against video/i3d_R50_32x2
  %(prog)s --all --format markdown
  %(prog)s --all video
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, count and print."""
    args = build_parser().parse_args(argv)
    with one_line_errors():
        print(cost_document(args))


def build_parser() -> argparse.ArgumentParser:
    """The command line of the cost analysis."""
    parser = argparse.ArgumentParser(
        description="Parameters, multiply-adds and activation memory of a model, per part.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config-file", metavar="FILE", help="a path, or a name")
    parser.add_argument("--against", metavar="FILE", help="print the difference to this config")
    parser.add_argument(
        "--all",
        nargs="?",
        const="detectors",
        choices=("detectors", "video"),
        help="every packaged config and verdicts on what the paper says of their costs",
    )
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--proposals", type=int, help="boxes that the box head reads")
    parser.add_argument("--detections", type=int, help="boxes that mask and keypoint heads read")
    parser.add_argument("--device", default="cpu", choices=DEVICES, help="whose kernels to count")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--format", default="text", choices=("text", "markdown", "json"))
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")
    return parser


def cost_document(args: argparse.Namespace) -> str:
    """Count what the command line asks for, as text, markdown or json.

    Raises:
        FileNotFoundError: no such config; suggests near names.
        ValueError: both or neither of ``--config-file`` and ``--all``, boxes for a network for
            clips, or see `detector_costs`.
    """
    if bool(args.all) == bool(args.config_file) or (args.all and (args.against or args.opts)):
        raise ValueError(
            "give either --config-file FILE, optionally with --against FILE and KEY VALUE pairs, "
            "or --all without them"
        )
    setting = {
        "size": tuple(args.size) if args.size else None,
        "proposals": args.proposals,
        "detections": args.detections,
        "device": args.device,
    }
    count_all = {"detectors": _count_all, "video": _count_videos}
    costs, tables, numbers = count_all[args.all](setting) if args.all else _count(args, setting)
    text = json.dumps(numbers, indent=1)
    if args.json:
        args.json.write_text(text)
    if args.format == "json":
        return text
    return "\n\n".join([*map(caption, costs), *(table.render(args.format) for table in tables)])


Counted = tuple[list[ModelCosts], list[Table], Any]
"""Whose captions are shown, the tables, and all numbers for a json."""


def _count(args: argparse.Namespace, setting: dict[str, Any]) -> Counted:
    costs = _costs(load_config(args.config_file, args.opts), args.config_file, setting)
    if not args.against:
        return [costs], [parts_table(costs)], [costs.as_dict()]
    other = _costs(load_config(args.against, args.opts), args.against, setting)
    return [costs, other], [difference_table(costs, other)], [costs.as_dict(), other.as_dict()]


def _costs(cfg: CfgNode, name: str, setting: dict[str, Any], *, memory: bool = True) -> ModelCosts:
    if "VIDEO" not in cfg.MODEL:
        return detector_costs(cfg, name, memory=memory, **setting)
    for key in ("proposals", "detections"):
        if setting[key] is not None:
            raise ValueError(f"--{key} {setting[key]}: {name} is a network for clips; leave it out")
    return video_costs(cfg, name, size=setting["size"], device=setting["device"], memory=memory)


def _count_videos(setting: dict[str, Any]) -> Counted:
    def costs(name: str, options: Sequence[str] = (), memory: bool = True) -> VideoCosts:
        cfg = load_config(f"video/{name}", options)
        found = _costs(cfg, name, setting, memory=memory)
        assert isinstance(found, VideoCosts)
        return found

    names = [n.removeprefix("video/") for n in config_names() if n.startswith("video/")]
    every = [costs(name) for name in names]
    baseline = costs("c2d_R101_32x2", memory=False)
    ratios = [
        (label, parameters, flops, costs(name, options, memory=False))
        for name, options, label, parameters, flops in RATIOS
    ]
    memory = [(label, costs(name, options)) for name, options, label in MEMORY]
    compared = {label: c.as_dict() for label, _, _, c in ratios}
    compared |= {label: c.as_dict() for label, c in memory}
    tables = [video_table(every), ratio_table(ratios, baseline), memory_table(memory)]
    return [], tables, {"configs": [c.as_dict() for c in every], "compared": compared}


def _count_all(setting: dict[str, Any]) -> Counted:
    names = [name for name in config_names() if not name.startswith("video/")]
    costs = [detector_costs(load_config(name), name, **setting) for name in names]
    variants = []
    for name, pairwise, subsample in product(VERDICT_CONFIGS, PAIRWISE, SUBSAMPLE):
        cfg = load_config(
            name, ["MODEL.NONLOCAL.PAIRWISE", pairwise, "MODEL.NONLOCAL.SUBSAMPLE", subsample]
        )
        variant = detector_costs(cfg, name, memory=False, **setting)
        variants.append(((name, pairwise, subsample), variant))
    verdicts = [
        {"config": name, "pairwise": pairwise, "subsample": subsample, "extra": variant.extra}
        for (name, pairwise, subsample), variant in variants
    ]
    rows = [(c.name, c.inference, c.total, c.all_blocks) for c in costs]
    tables = [summary_table(rows), verdict_table(variants)]
    shown = [c for c in costs if c.name == VERDICT_CONFIGS[0]]
    return shown, tables, {"configs": [c.as_dict() for c in costs], "verdicts": verdicts}
