"""``tools/analyze_model.py``: the costs of one config, of two twins, or of all, as a document."""

import argparse
import json
from typing import Any

from nonlocal_det.analysis import Report, analyze, analyze_variants
from nonlocal_det.analysis.cost_tables import (
    Table,
    caption,
    difference_table,
    parts_table,
    summary_table,
    verdict_table,
)
from nonlocal_det.analysis.module_costs import DEVICES
from nonlocal_det.configs import config_names, load_config

VERDICT_CONFIGS = ("nl_mask_rcnn_R50", "nl_mask_rcnn_R101", "nl_mask_rcnn_X152")
"""The paper's detectors with one block; their variants get a verdict on "< 5 %"."""

EXAMPLES = """
examples:
  analyze_model.py --config-file configs/nl_mask_rcnn_R50.yaml
  analyze_model.py --config-file configs/nl_mask_rcnn_R50.yaml --against mask_rcnn_R50
  analyze_model.py --config-file nl_mask_rcnn_R50 --proposals 300 MODEL.NONLOCAL.SUBSAMPLE none
  analyze_model.py --all --format markdown
"""


def build_cost_parser() -> argparse.ArgumentParser:
    """The command line of the cost analysis."""
    parser = argparse.ArgumentParser(
        description="Parameters, multiply-adds and activation memory of a detector, per part.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config-file", metavar="FILE", help="a path, or a name")
    parser.add_argument("--against", metavar="TWIN", help="print the difference to this config")
    parser.add_argument("--all", action="store_true", help="every packaged config and verdicts")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--proposals", type=int, help="boxes that the box head sees")
    parser.add_argument("--detections", type=int, help="boxes that mask and keypoint heads see")
    parser.add_argument("--device", default="cpu", choices=DEVICES, help="whose kernels to count")
    parser.add_argument("--format", default="text", choices=("text", "markdown", "json"))
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")
    return parser


def cost_document(args: argparse.Namespace) -> str:
    """What the command line asks for.

    Args:
        args: from `build_cost_parser`.

    Raises:
        FileNotFoundError: no such config; suggests near names.
        ValueError: both or neither of ``--config-file`` and ``--all``, or see `analyze`.
    """
    if args.all == bool(args.config_file) or (args.all and (args.against or args.opts)):
        raise ValueError(
            "give either --config-file FILE, with --against TWIN and KEY VALUE pairs if you like, "
            "or --all alone"
        )
    setting = {
        "size": tuple(args.size) if args.size else None,
        "proposals": args.proposals,
        "detections": args.detections,
        "device": args.device,
    }
    if args.all:
        return _document_of_all(setting, args.format)
    report = analyze(load_config(args.config_file, args.opts), args.config_file, **setting)
    if not args.against:
        return _document([report], [parts_table(report)], args.format)
    twin = analyze(load_config(args.against, args.opts), args.against, **setting)
    return _document([report, twin], [difference_table(report, twin)], args.format)


def _document_of_all(setting: dict[str, Any], style: str) -> str:
    names = config_names()
    reports = [analyze(load_config(name), name, **setting) for name in names]
    configs = {name: load_config(name) for name in VERDICT_CONFIGS}
    variants = analyze_variants(configs, **setting)
    if style == "json":
        verdicts = [
            {"config": name, "pairwise": pairwise, "subsample": subsample, "extra": report.extra}
            for (name, pairwise, subsample), report in variants
        ]
        return json.dumps({"configs": [r.as_dict() for r in reports], "verdicts": verdicts})
    rows = [(r.name, r.inference, r.total, r.all_blocks) for r in reports]
    tables = [summary_table(rows), verdict_table(variants)]
    return _document([r for r in reports if r.name == VERDICT_CONFIGS[0]], tables, style)


def _document(reports: list[Report], tables: list[Table], style: str) -> str:
    if style == "json":
        return json.dumps([report.as_dict() for report in reports], indent=1)
    return "\n\n".join([*map(caption, reports), *(table.render(style) for table in tables)])
