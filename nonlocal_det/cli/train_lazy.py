"""Train from a LazyConfig: Detectron2's tool with this project's launcher, checks and checkpoints.

It is for configs that are programs. A training of `train.py` does more: it resumes exactly, stops
on signals, and checks every step.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import torch
from detectron2.config import LazyConfig, get_cfg, instantiate
from detectron2.engine import (
    AMPTrainer,
    SimpleTrainer,
    create_ddp_model,
    default_argument_parser,
    default_setup,
    default_writers,
    hooks,
)
from detectron2.evaluation import inference_on_dataset, print_csv_format
from detectron2.utils import comm
from omegaconf import DictConfig, OmegaConf
from torch import nn

from nonlocal_det.checkpoint import Names, SafeCheckpointer, names_of_data
from nonlocal_det.configs import find_config
from nonlocal_det.training.checks import check_blocks_learn, check_data, check_present
from nonlocal_det.training.process_group import log_on_one_rank

from .errors import one_line_errors
from .train import launch_command

EXAMPLES = """
Examples, the first after quickstart, the others with COCO:
  %(prog)s --config-file lazy/quick/nl_mask_keypoint_rcnn_R18.py optimizer.lr=0.02
  %(prog)s --config-file lazy/nl_mask_rcnn_R50.py --num-gpus 8
  %(prog)s --config-file lazy/nl_mask_rcnn_R50.py optimizer.lr=0.01 \\
      model.backbone.options.pairwise=dot_product
  %(prog)s --config-file lazy/nl_mask_rcnn_R50.py --eval-only train.init_checkpoint=model.pth
"""
OPTIONAL = {"seed", "cudnn_benchmark"}
"""Keys of ``train`` that Detectron2's setup reads and its common/train.py does not have."""


@log_on_one_rank()
@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Train or evaluate in as many processes as the command line, or torchrun, asks for.

    Args:
        argv: the command line; by default that of this process.

    Raises:
        SystemExit: with a line that names what is wrong.
    """
    parser = default_argument_parser(epilog=EXAMPLES)
    parser.set_defaults(dist_url="auto")
    parser.description = __doc__
    args = parser.parse_args(argv)
    launch_command(run, args, load_lazy_config(args).train.device)


def load_lazy_config(args: argparse.Namespace) -> DictConfig:
    """Load a LazyConfig, which runs its program, and override its values.

    Args:
        args: with ``config_file``, a path or a name as ``lazy/nl_mask_rcnn_R50.py``, and ``opts``,
            as ``["optimizer.lr=0.01"]``.

    Raises:
        FileNotFoundError: there is no such config.
        ValueError: an option names a key that nothing reads. One that a call does not take is a
            TypeError when it is called.
    """
    args.config_file = find_config(args.config_file)
    cfg = LazyConfig.load(args.config_file)
    known, in_train = set(cfg), set(cfg.train) | OPTIONAL
    if not torch.cuda.is_available():
        cfg.train.device = "cpu"
    cfg = LazyConfig.apply_overrides(cfg, args.opts)
    unknown = [*(set(cfg) - known), *(f"train.{key}" for key in set(cfg.train) - in_train)]
    if unknown:
        raise ValueError(f"{args.config_file} has no {', '.join(sorted(unknown))} to override")
    return cfg


def run(args: argparse.Namespace) -> None:
    """Train in this process, or with ``--eval-only`` evaluate.

    Args:
        args: of Detectron2's ``default_argument_parser``.
    """
    cfg = load_lazy_config(args)
    with redirect_stdout(sys.stderr):  # where Detectron2's loggers then write
        default_setup(cfg, args)
    _check_data(cfg, train=not args.eval_only)
    model = instantiate(cfg.model).to(cfg.train.device)
    if not args.eval_only:
        train(cfg, model, resume=args.resume)
        return
    names = _names(cfg, "test")
    checkpointer = SafeCheckpointer(model, cfg.train.output_dir, names=names)
    checkpointer.resume_or_load(cfg.train.init_checkpoint, resume=args.resume)
    evaluate(cfg, model)


def train(cfg: DictConfig, model: nn.Module, resume: bool = False) -> None:
    """Train a model, and evaluate it every ``train.eval_period`` steps and at the end.

    Args:
        cfg: as `load_lazy_config` returns it.
        model: as it was built, on its device.
        resume: whether to continue from the last checkpoint; the images start anew.

    Raises:
        ValueError: a non-local block could never learn.
    """
    cfg.optimizer.params.model = model
    optimizer = instantiate(cfg.optimizer)
    check_blocks_learn(model, optimizer)
    devices = [comm.get_local_rank()] if cfg.train.device.startswith("cuda") else None
    model = create_ddp_model(model, device_ids=devices, **cfg.train.ddp)
    kind = AMPTrainer if cfg.train.amp.enabled else SimpleTrainer
    trainer = kind(model, instantiate(cfg.dataloader.train), optimizer)
    checkpointer = SafeCheckpointer(
        model,
        cfg.train.output_dir,
        checkpointables={"trainer": trainer},
        require="backbone",
        names=_names(cfg, "train"),
    )
    trainer.register_hooks(
        [
            hooks.IterationTimer(),
            hooks.LRScheduler(scheduler=instantiate(cfg.lr_multiplier)),
            hooks.EvalHook(cfg.train.eval_period, lambda: evaluate(cfg, model)),
        ]
    )
    if comm.is_main_process():
        writers = default_writers(cfg.train.output_dir, cfg.train.max_iter)
        trainer.register_hooks(
            [
                hooks.PeriodicCheckpointer(checkpointer, **cfg.train.checkpointer),
                hooks.PeriodicWriter(writers, period=cfg.train.log_period),
            ]
        )
    checkpointer.resume_or_load(cfg.train.init_checkpoint, resume=resume)
    start = trainer.iter + 1 if resume and checkpointer.has_checkpoint() else 0
    trainer.train(start, cfg.train.max_iter)


def evaluate(cfg: DictConfig, model: nn.Module) -> dict[str, Any]:
    """Evaluate on ``dataloader.test`` with ``dataloader.evaluator``, where there is one."""
    if "evaluator" not in cfg.dataloader:
        return {}
    loader, evaluator = instantiate(cfg.dataloader.test), instantiate(cfg.dataloader.evaluator)
    results: dict[str, Any] = inference_on_dataset(model, loader, evaluator)
    print_csv_format(results)
    return results


def _data_sets(cfg: DictConfig, split: str) -> list[str]:
    """List the data sets of a loader of Detectron2's ``common/``; of another one, none."""
    names = OmegaConf.select(cfg, f"dataloader.{split}.dataset.names")
    return [names] if isinstance(names, str) else list(names or ())


def _names(cfg: DictConfig, split: str) -> Names:
    return names_of_data(_data_sets(cfg, split), read=split == "test")


def _check_data(cfg: DictConfig, train: bool) -> None:
    """Refuse data that is not there, or bad for what the mapper takes of it."""
    checked = get_cfg()
    checked.DATASETS.TRAIN, checked.DATASETS.TEST = (
        _data_sets(cfg, "train"),
        _data_sets(cfg, "test"),
    )
    mapper = OmegaConf.select(cfg, "dataloader.train.mapper") or {}
    checked.MODEL.MASK_ON = bool(mapper.get("use_instance_mask"))
    checked.MODEL.KEYPOINT_ON = bool(mapper.get("use_keypoint"))
    check_present(checked, train=train)
    check_data(checked, train=train)


if __name__ == "__main__":
    main()
