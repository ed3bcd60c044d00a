"""Train a suite: every model and its baseline under several seeds, paired in tables.

Examples, the last two with COCO:
  %(prog)s --suite quick --seeds 3 --dry-run
  %(prog)s --suite long-range --only beacon --jobs 2
  %(prog)s --suite long-range --only beacon --jobs 2 --choose-lr
  %(prog)s --suite table5 --seeds 3 --gpus 0-7 --gpus-per-run 8
  %(prog)s --suite table6 --seeds 1,5,7 --schedule 3x --dry-run

Exit status: 0 every run has finished, 1 one failed, 130 or 143 stopped by a signal.
Run it again after whatever ended it: what is finished stays, what was interrupted is resumed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.experiments.plan import GRID, make_plan
from nonlocal_det.experiments.reproduce import reproduce
from nonlocal_det.experiments.suites import QUESTIONS, SCHEDULES, SUITES

from .errors import one_line_errors


def build_parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", required=True, help=", ".join(SUITES))
    parser.add_argument("--seeds", help="how many, as 3 (default), or which, as 1,5,7 or 5,")
    parser.add_argument("--schedule", help=f"{', '.join(SCHEDULES)}; by default 1x")
    parser.add_argument(
        "--only",
        default="",
        help="models by name or a part of it, as R50, or by a question of long-range ("
        + ", ".join(QUESTIONS)
        + "); several with commas between",
    )
    parser.add_argument("--output", type=Path, help="default: output/reproduce/SUITE-SCHEDULE")
    parser.add_argument("--gpus", default="", help="as 0-3: several runs at a time")
    parser.add_argument("--gpus-per-run", type=int, default=1, help="on the CPU: processes")
    parser.add_argument("--jobs", type=int, help="runs at a time, each with its share of the cores")
    parser.add_argument(
        "--choose-lr", action="store_true", help="report each model's best learning rate on val"
    )
    parser.add_argument("--lr-grid", help=f"rates to choose from (default: {GRID})")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--report-only", dest="mode", action="store_const", const="report")
    mode.add_argument("--dry-run", dest="mode", action="store_const", const="dry-run")
    parser.add_argument("--force", action="store_true", help="mix commits, configs or data sets")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs, for every run")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Plan the suite, carry it out, and exit with its status."""
    args = build_parser().parse_args(argv)
    with one_line_errors():
        plan = make_plan(
            args.suite,
            seeds=args.seeds,
            schedule=args.schedule,
            output=args.output,
            only=args.only,
            choose_lr=args.choose_lr,
            lr_grid=args.lr_grid,
            overrides=args.opts,
        )
        status = reproduce(
            plan,
            args.mode or "train",
            gpus=args.gpus,
            gpus_per_run=args.gpus_per_run,
            jobs=args.jobs,
            force=args.force,
        )
    sys.exit(status)


if __name__ == "__main__":
    main()
