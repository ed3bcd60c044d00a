"""The training command, also without a checkout: ``python -m nonlocal_det.cli.train``."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from nonlocal_det.configs import find_config, load_config
from nonlocal_det.training import launch, train
from nonlocal_det.training.process_group import TIMEOUT, log_on_one_rank

from .arguments import build_argument_parser, config_from_arguments
from .errors import one_line_errors


@log_on_one_rank()
@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Train or evaluate in as many processes as the command line, or torchrun, asks for.

    Args:
        argv: the command line; by default that of this process.

    Raises:
        SystemExit: with a line that names what is wrong.
    """
    args = build_argument_parser().parse_args(argv)
    launch_command(run_and_print, args, load_config(args.config_file, args.opts or ()).MODEL.DEVICE)


def launch_command(
    run: Callable[[argparse.Namespace], object], args: argparse.Namespace, device: str
) -> None:
    """Call a function in as many processes as Detectron2's options, or torchrun, ask for.

    Args:
        run: called with the command line; importable.
        args: of Detectron2's ``default_argument_parser``, and perhaps ``timeout``.
        device: of the config.
    """
    launch(
        _run_in_worker,
        args.num_gpus,
        num_machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        device=device,
        timeout=getattr(args, "timeout", TIMEOUT),
        args=(run, args),
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train in this process, or with ``--eval-only`` evaluate.

    Args:
        args: of `build_argument_parser`.

    Returns:
        The metrics of each task; empty in all processes but the first.
    """
    # before anything is logged, so that log.txt has it: what is read of the user's data, above all
    folder = load_config(args.config_file, args.opts or ()).OUTPUT_DIR
    with redirect_stdout(sys.stderr):  # stdout is for the metrics
        setup_logger(folder, distributed_rank=comm.get_rank(), name="nonlocal_det")
    cfg = config_from_arguments(args)
    args.config_file = find_config(args.config_file)  # Detectron2 logs the file itself
    return train.run(cfg, args)


def run_and_print(args: argparse.Namespace) -> None:
    """Train or evaluate in this process; print the metrics, and write them to ``--json``."""
    results = run(args)
    for task, metrics in results.items():
        print(metrics_table(task, metrics))
    if args.json and comm.is_main_process():
        finite = {
            task: {key: value if math.isfinite(value) else None for key, value in metrics.items()}
            for task, metrics in results.items()
        }
        args.json.write_text(json.dumps(finite, indent=1) + "\n")


TASKS = {"bbox": "box", "segm": "mask", "keypoints": "keypoint", "video": "video"}
"""What the metrics of a task are called when they are shown."""


def metrics_table(task: str, metrics: Mapping[str, float]) -> str:
    """Format a task's metrics as a small table; AR and per-category rows are in the log."""
    names = [name for name in metrics if not name.startswith("AR") and "-" not in name]
    # nan: no such object in the data, as large ones (over 96 x 96 pixels) in small images
    values = ["-" if math.isnan(metrics[name]) else f"{metrics[name]:.1f}" for name in names]
    widths = [max(5, len(name)) for name in names]
    head, line = (
        " | ".join(f"{word:>{width}}" for word, width in zip(words, widths, strict=True))
        for words in (names, values)
    )
    title = f"{TASKS.get(task, task):>8}"
    return f"{title} | {head}\n{'':{len(title)}} | {line}\n"


@one_line_errors()
def _run_in_worker(run: Callable[[argparse.Namespace], object], args: argparse.Namespace) -> None:
    run(args)


if __name__ == "__main__":
    main()
