"""What one process of ``tools/lazyconfig_train_net.py`` does: train and evaluate, or evaluate."""

import argparse
import logging
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import instantiate
from detectron2.engine import AMPTrainer, SimpleTrainer, default_setup, default_writers, hooks
from detectron2.engine.defaults import create_ddp_model
from detectron2.evaluation import inference_on_dataset, print_csv_format
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.cli import one_line_errors
from nonlocal_det.engine import provenance
from nonlocal_det.engine.launch import launch
from nonlocal_det.modeling import nonlocal_blocks

from .setup import build_lazy_parser, check_lazy_model, load_lazy_config

logger = logging.getLogger("nonlocal_det")


def lazy_train_net(arguments: Sequence[str] | None = None) -> None:
    """Parse a command line and train or evaluate in as many processes as it says.

    Args:
        arguments: by default those of this process.

    Raises:
        SystemExit: with a line that says what is wrong.
    """
    args = build_lazy_parser().parse_args(arguments)
    with one_line_errors():
        launch(
            lazy_main,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(args,),
        )


def lazy_main(args: argparse.Namespace) -> dict[str, Any]:
    """Train, or with ``--eval-only`` evaluate.

    Args:
        args: of `build_lazy_parser`.

    Returns:
        The results of the evaluation; empty in all processes but the first.
    """
    cfg = load_lazy_config(args)
    setup_logger(cfg.train.output_dir, distributed_rank=comm.get_rank(), name="nonlocal_det")
    default_setup(cfg, args)
    model = instantiate(cfg.model).to(cfg.train.device)
    check_lazy_model(model, args.config_file)
    blocks = nonlocal_blocks(model)
    logger.info(f"{len(blocks)} non-local blocks: {', '.join(blocks) or 'a baseline'}")
    if args.eval_only:
        checkpointer = SafeCheckpointer(model, cfg.train.output_dir, trust=args.trust_checkpoint)
        checkpointer.resume_or_load(cfg.train.init_checkpoint, resume=args.resume)
        return evaluate(cfg, model)
    return train(cfg, model, args)


def train(cfg: DictConfig, model: nn.Module, args: argparse.Namespace) -> dict[str, Any]:
    """Train from ``train.init_checkpoint``, or with ``--resume`` from the last; evaluate.

    Args:
        cfg: of `load_lazy_config`.
        model: on its device.
        args: of the command line.
    """
    cfg.optimizer.params.model = model
    optimizer = instantiate(cfg.optimizer)
    loader = instantiate(cfg.dataloader.train)
    distributed = _distribute(cfg, model)
    kind = AMPTrainer if cfg.train.amp.enabled else SimpleTrainer
    trainer = kind(distributed, loader, optimizer)
    checkpointer = SafeCheckpointer(
        distributed,
        cfg.train.output_dir,
        checkpointables={"trainer": trainer},
        made_by={
            "commit": provenance.commit(),
            "command": provenance.command(),
            "versions": provenance.versions(),
        },
        require="nothing" if args.allow_unmatched else "backbone",
        trust=args.trust_checkpoint,
    )
    results: dict[str, Any] = {}

    def test() -> dict[str, Any]:
        results.update(evaluate(cfg, distributed))
        return results

    main = comm.is_main_process()
    writers = default_writers(cfg.train.output_dir, cfg.train.max_iter) if main else []
    trainer.register_hooks(
        [
            hooks.IterationTimer(),
            hooks.LRScheduler(scheduler=instantiate(cfg.lr_multiplier)),
            hooks.PeriodicCheckpointer(checkpointer, **cfg.train.checkpointer) if main else None,
            hooks.EvalHook(cfg.train.eval_period, test),
            hooks.PeriodicWriter(writers, period=cfg.train.log_period) if main else None,
        ]
    )
    checkpointer.resume_or_load(cfg.train.init_checkpoint, resume=args.resume)
    start = 0
    if args.resume and checkpointer.has_checkpoint():
        start = trainer.iter + 1  # the one that it names has been done
    trainer.train(start, cfg.train.max_iter)
    return results


def _distribute(cfg: DictConfig, model: nn.Module) -> nn.Module:
    if torch.device(cfg.train.device).type == "cpu":  # torch takes no device ids there
        return create_ddp_model(model, device_ids=None, **cfg.train.ddp)
    return create_ddp_model(model, **cfg.train.ddp)


def evaluate(cfg: DictConfig, model: nn.Module) -> dict[str, Any]:
    """The metrics of ``dataloader.test`` by ``dataloader.evaluator``, also printed.

    Args:
        cfg: of `load_lazy_config`.
        model: may be distributed.
    """
    results = inference_on_dataset(
        model, instantiate(cfg.dataloader.test), instantiate(cfg.dataloader.evaluator)
    )
    if results:
        print_csv_format(results)
    return results or {}
