"""The training command, also without a checkout: ``python -m nonlocal_det.cli.train``."""

from collections.abc import Sequence

from nonlocal_det.training.group import told_once
from nonlocal_det.training.launch import launch
from nonlocal_det.training.train import main

from .arguments import build_argument_parser, find_device
from .errors import one_line_errors


def train_net(arguments: Sequence[str] | None = None) -> None:
    """Parse a command line and train or evaluate in as many processes as it, or torchrun, says.

    Args:
        arguments: by default those of this process.

    Raises:
        SystemExit: with a line that says what is wrong.
    """
    args = build_argument_parser().parse_args(arguments)
    with told_once(), one_line_errors():
        launch(
            main,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            device=find_device(args),
            timeout=args.timeout,
            args=(args,),
        )


if __name__ == "__main__":
    train_net()
