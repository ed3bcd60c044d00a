"""From the command line to a full config: the file, the user's data, the options, the device."""

import argparse
import datetime
import re
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.engine import default_argument_parser

from nonlocal_det.configs import load_config
from nonlocal_det.data.user_data import add_user_data, add_user_options, set_sigmas
from nonlocal_det.training.checks import allow_own_data, check_config
from nonlocal_det.training.options import TrainingOptions
from nonlocal_det.training.process_group import TIMEOUT
from nonlocal_det.training.scaling import REFERENCE

EXAMPLES = """
Examples, the first two after quickstart, the others with COCO or data of your own:
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --resume
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --eval-only \\
      MODEL.WEIGHTS output/quick/nl_mask_keypoint_rcnn_R18/model_final.pth
  %(prog)s --config-file nl_mask_rcnn_R50 --num-gpus 8
  %(prog)s --config-file nl_mask_rcnn_R50 --coco-data mine train.json images/ \\
      DATASETS.TRAIN "('mine',)" DATASETS.TEST "('mine',)"
  %(prog)s --config-file nl_mask_rcnn_R50 --num-gpus 8 \\
      --num-machines 2 --machine-rank 0 --dist-url tcp://10.0.0.1:29500

Progress and logs go to stderr and OUTPUT_DIR/log.txt, the metrics to stdout and
OUTPUT_DIR/result.json. Exit status: 0 done; 1 an error; 2 the command line is wrong;
130 (Ctrl-C) or 143 (SIGTERM): stopped after a step, saved; go on with --resume.
"""


def build_argument_parser(examples: str = EXAMPLES) -> argparse.ArgumentParser:
    """Build the parser: Detectron2's options, and those of data, checkpoints, processes and step.

    Args:
        examples: the end of ``--help``.
    """
    parser = default_argument_parser(epilog=examples)
    parser.description = "Train and evaluate a model, or with --eval-only evaluate one."
    # Detectron2's port is the same for all of a user's runs
    parser.set_defaults(dist_url="auto", **vars(TrainingOptions()))
    add_user_options(parser)
    add = parser.add_argument
    add(
        "--allow-bad-data",
        action="store_true",
        help="leave out and count the images and annotations that would stop or spoil the "
        "training, instead of refusing to start",
    )
    add(
        "--max-bad-images",
        type=int,
        metavar="N",
        help="during the training, skip up to N files that cannot be read, in each process "
        "(default: %(default)s)",
    )
    add(
        "--keep-checkpoints",
        type=int,
        metavar="K",
        help="keep the last K numbered checkpoints (default: all); the final and the best one stay",
    )
    add(
        "--keep-best",
        metavar="METRIC",
        help="keep the checkpoint with the best METRIC as model_best.pth: bbox/AP, or with :min "
        "where less is better; compared after every TEST.EVAL_PERIOD",
    )
    add(
        "--val-loss",
        dest="validation_loss",
        action="store_true",
        help="compute the losses on DATASETS.TEST too with each evaluation, without augmentation: "
        "validation/total_loss and its parts in metrics.json",
    )
    add(
        "--early-stop",
        metavar="METRIC",
        help="end the training when METRIC (as for --keep-best) has not been better for --patience "
        "evaluations",
    )
    add(
        "--patience",
        type=int,
        metavar="N",
        help="of --early-stop: evaluations in a row (default: %(default)s)",
    )
    add(
        "--ema",
        type=float,
        metavar="DECAY",
        help="average the weights over the steps with DECAY, as 0.999: evaluated as bbox_EMA/AP "
        "beside the weights themselves, saved as model_ema_final.pth",
    )
    add(
        "--allow-unmatched",
        action="store_true",
        help="train even if the weights leave tensors of the backbone as they were, and evaluate "
        "weights of another model",
    )
    add(
        "--trust-checkpoint",
        action="store_true",
        help="load checkpoints by executing them: whoever made them can do on this machine "
        "whatever you can",
    )
    add(
        "--scale-lr",
        action="store_true",
        help="keep the images a process: scale batch and learning rate by the number of processes, "
        "the iterations inversely. The config's are for SOLVER.REFERENCE_WORLD_SIZE of them, or "
        f"if that is 0 for {REFERENCE}",
    )
    add(
        "--timeout",
        type=_minutes,
        default=TIMEOUT,
        metavar="MINUTES",
        help="how long a process waits for another that is hung, or still saves or evaluates, "
        "before the training ends with an error (default: 30)",
    )
    add(
        "--accumulate",
        type=int,
        metavar="K",
        help="compute each process's batch in K parts, one after the other, and add their "
        "gradients: the step of SOLVER.IMS_PER_BATCH images in the memory of a part; images, "
        "schedule and learning rate stay as they are",
    )
    add(
        "--on-nonfinite",
        dest="skip",
        type=_policy,
        metavar="POLICY",
        help="what to do with a step whose losses or gradients are not finite: stop (default), or "
        "skip-N: leave it out, at most N times in the whole training, restarts included",
    )
    add("--json", type=Path, metavar="FILE", help="write the metrics here too")
    add(
        "--oks-sigmas",
        type=_numbers,
        metavar="S,S,...",
        help="a number per keypoint for the evaluation, instead of the data set's or COCO's",
    )
    return parser


def _policy(text: str) -> int:
    match = re.fullmatch(r"stop|skip-([1-9]\d*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected stop or skip-N, as skip-10")
    return int(match[1] or 0)


def _minutes(text: str) -> datetime.timedelta:
    try:
        minutes = datetime.timedelta(minutes=float(text))
    except (ValueError, OverflowError):
        minutes = datetime.timedelta(0)
    if minutes <= datetime.timedelta(0):
        raise argparse.ArgumentTypeError(f"{text!r}: expected minutes, above 0, as 30 or 0.5")
    return minutes


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


def names(text: str) -> list[str]:
    """Split an option ``A,B,...``: argparse's own lists would swallow KEY VALUE pairs."""
    return [word.strip() for word in text.split(",") if word.strip()]


def build_config_parser(
    description: str, config_file: str | None = None
) -> argparse.ArgumentParser:
    """Build a parser for tools that need a config only: the file, the user's data and options.

    Args:
        description: of the tool; its lines stay as they are.
        config_file: the default; None: one must be given.
    """
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=raw)
    parser.add_argument(
        "--config-file",
        required=config_file is None,
        default=config_file,
        metavar="FILE",
        help="a path, or a name" + (f"; default: {config_file}" if config_file else ""),
    )
    add_user_options(parser)
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")
    return parser


def config_from_arguments(args: argparse.Namespace) -> CfgNode:
    """Build the config that a command line describes, checked and frozen.

    ``MODEL.DEVICE`` is CUDA where there is a GPU, else the CPU, unless the file or an option names
    another. The numbers of classes and keypoints and the OKS sigmas follow the user's data, but
    ``--oks-sigmas`` goes before these.

    Args:
        args: with ``config_file``, the user's data, ``opts``, and perhaps ``oks_sigmas``.

    Raises:
        FileNotFoundError: no such config or data file; suggests near names.
        ValueError: an unknown key or a combination that cannot work; names key, value and cure.
    """
    options = list(args.opts or [])
    cfg = load_config(args.config_file, options)
    if getattr(args, "allow_bad_data", False):  # only training has the option
        args.coco_data = allow_own_data(cfg, args.coco_data)
    add_user_data(cfg, args, given=options[::2])
    if getattr(args, "oks_sigmas", None):  # only evaluation has the option
        set_sigmas(cfg, args.oks_sigmas)
    train = not getattr(args, "eval_only", False)  # only training has the option
    check_config(cfg, config_file=args.config_file, train=train)
    cfg.freeze()
    return cfg
