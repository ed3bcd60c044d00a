"""The LazyConfig training command, also without a checkout."""

import argparse
from collections.abc import Sequence
from typing import Any

from nonlocal_det.training.launch import launch
from nonlocal_det.training.process_group import log_on_one_rank
from nonlocal_det.training.train import fit, run

from .settings import lazy_errors, read_settings, write_settings
from .setup import build_lazy_parser, load_lazy_config, merge_lazy_config
from .trainer import LazyTrainer


def lazy_train_net(arguments: Sequence[str] | None = None) -> None:
    """Parse a command line and train or evaluate in as many processes as it, or torchrun, says.

    Args:
        arguments: by default those of this process.

    Raises:
        SystemExit: with a line that says what is wrong.
    """
    args = build_lazy_parser().parse_args(arguments)
    with log_on_one_rank(), lazy_errors():
        launch(
            lazy_main,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            device=read_settings(merge_lazy_config(args)).MODEL.DEVICE,
            timeout=args.timeout,
            args=(args,),
        )


def lazy_main(args: argparse.Namespace) -> dict[str, Any]:
    """Train, or with ``--eval-only`` evaluate: what `nonlocal_det.training.main` does.

    Args:
        args: of `build_lazy_parser`.

    Returns:
        The results of the evaluation: a dictionary of metrics for each task; empty in all
        processes but the first.

    Raises:
        SystemExit: with a line that says what is wrong.
    """
    with lazy_errors():
        lazy, given = load_lazy_config(args)
        cfg = fit(given, args)
        write_settings(lazy, given, cfg)
        return run(given, cfg, args, LazyTrainer.of(lazy, args.config_file), full=lazy)


if __name__ == "__main__":
    lazy_train_net()
