"""Train from a LazyConfig, as Detectron2's ``lazyconfig_train_net.py`` does, on CPU or GPU.

A LazyConfig is a program: it runs as it is loaded. This is the short path of Detectron2's own tool;
exact resume, checks of the data and of the numbers are `cli.train`'s, from a YAML config.
"""

import argparse
import logging
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import LazyConfig, instantiate
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
from omegaconf import DictConfig
from torch import nn

from nonlocal_det.checkpoint import SafeCheckpointer
from nonlocal_det.layers import nonlocal_blocks
from nonlocal_det.requirement import register_components
from nonlocal_det.training import launch
from nonlocal_det.training.checks import check_blocks_learn

from .errors import one_line_errors

logger = logging.getLogger("nonlocal_det")

EXAMPLES = """
examples:
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py --num-gpus 8
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py optimizer.lr=0.01 \\
      model.backbone.bottom_up.options.pairwise=dot_product
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py --eval-only \\
      train.init_checkpoint=model.pth
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Train or evaluate in as many processes as the command line, or torchrun, asks for.

    Args:
        argv: the command line; by default that of this process.

    Raises:
        SystemExit: with a line that names what is wrong.
    """
    args = default_argument_parser(EXAMPLES).parse_args(argv)
    with one_line_errors():
        if not args.config_file.endswith(".py"):
            raise ValueError(f"--config-file {args.config_file!r}: a LazyConfig is a Python file")
        launch(
            run,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(args,),
        )


def run(args: argparse.Namespace) -> Any:
    """Train in this process, or with ``--eval-only`` evaluate.

    Args:
        args: of Detectron2's ``default_argument_parser``.

    Returns:
        The metrics of the evaluation; empty in all processes but the first.
    """
    register_components("train_lazy")
    cfg = LazyConfig.apply_overrides(LazyConfig.load(args.config_file), args.opts)
    if cfg.train.device == "cuda" and not torch.cuda.is_available():
        cfg.train.device = "cpu"
    default_setup(cfg, args)
    model = instantiate(cfg.model).to(cfg.train.device)
    logger.info(f"non-local blocks: {', '.join(nonlocal_blocks(model)) or 'none, a baseline'}")
    if args.eval_only:
        SafeCheckpointer(model).load(cfg.train.init_checkpoint)
        return evaluate(cfg, model)
    return train(args, cfg, model)


def train(args: argparse.Namespace, cfg: DictConfig, model: nn.Module) -> Any:
    """Train a model as its LazyConfig says; evaluate at the end and every ``train.eval_period``."""
    cfg.optimizer.params.model = model
    optimizer = instantiate(cfg.optimizer)
    check_blocks_learn(model, optimizer)
    _clip_gradients(optimizer, model, cfg.train.get("clip_gradients"))
    on_gpu = cfg.train.device == "cuda"
    parallel = create_ddp_model(model, **cfg.train.ddp, **({} if on_gpu else {"device_ids": None}))
    kind = AMPTrainer if cfg.train.amp.enabled and on_gpu else SimpleTrainer
    trainer = kind(parallel, instantiate(cfg.dataloader.train), optimizer)
    checkpointer = SafeCheckpointer(
        model, cfg.train.output_dir, checkpointables={"trainer": trainer}, require="backbone"
    )
    writers = default_writers(cfg.train.output_dir, cfg.train.max_iter)
    trainer.register_hooks(
        [
            hooks.IterationTimer(),
            hooks.LRScheduler(scheduler=instantiate(cfg.lr_multiplier)),
            hooks.PeriodicCheckpointer(checkpointer, **cfg.train.checkpointer)
            if comm.is_main_process()
            else None,
            hooks.EvalHook(cfg.train.eval_period, lambda: evaluate(cfg, model)),
            hooks.PeriodicWriter(writers, cfg.train.log_period) if comm.is_main_process() else None,
        ]
    )
    checkpointer.resume_or_load(cfg.train.init_checkpoint, resume=args.resume)
    start = trainer.iter + 1 if args.resume and checkpointer.has_checkpoint() else 0
    trainer.train(start, cfg.train.max_iter)
    return getattr(trainer, "_last_eval_results", {})


def _clip_gradients(
    optimizer: torch.optim.Optimizer, model: nn.Module, options: dict[str, Any] | None
) -> None:
    """Clip the norm of each parameter's gradient before a step, as ``SOLVER.CLIP_GRADIENTS`` does.

    Args:
        optimizer: runs it before each of its steps.
        model: whose parameters.
        options: ``train.clip_gradients``, arguments of `torch.nn.utils.clip_grad_norm_`.
    """

    def clip(*_: Any) -> None:
        for parameter in model.parameters():
            nn.utils.clip_grad_norm_(parameter, **(options or {}))

    if options:
        optimizer.register_step_pre_hook(clip)


def evaluate(cfg: DictConfig, model: nn.Module) -> Any:
    """Evaluate a model on the test data of its LazyConfig."""
    loader, evaluator = instantiate(cfg.dataloader.test), instantiate(cfg.dataloader.evaluator)
    results = inference_on_dataset(model, loader, evaluator)
    print_csv_format(results)
    return results


if __name__ == "__main__":
    main()
