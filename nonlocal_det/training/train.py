"""What one process of a training does: train and evaluate, or evaluate only."""

import argparse
import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.engine import default_setup
from detectron2.evaluation import verify_results
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from nonlocal_det.checkpoint import CheckpointOptions, SafeCheckpointer, names_of_data
from nonlocal_det.configs import config_hash

from .checks import check_blocks_learn, check_data, check_model
from .evaluations import evaluate_augmented
from .exact_resume import draw_seed, was_restarted
from .options import TrainingOptions
from .provenance import commit, made_by
from .result import InferenceTimer, write_result
from .scaling import describe_scaling, fit_to_processes
from .trainer import Trainer

logger = logging.getLogger("nonlocal_det")


def run(given: CfgNode, args: argparse.Namespace) -> dict[str, Any]:
    """Train, or with ``--eval-only`` evaluate, in this process.

    Args:
        given: the user's config.
        args: of the command line.

    Returns:
        The metrics of each task; empty in all processes but the first.

    Raises:
        ValueError: the images of a batch cannot be shared equally, or the data is bad.
    """
    cfg, processes = given, comm.get_world_size()
    if not args.eval_only:
        cfg = draw_seed(fit_to_processes(given, processes, scale_lr=args.scale_lr), args.resume)
    with redirect_stdout(sys.stderr):  # where Detectron2's loggers write; stdout has the metrics
        setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="nonlocal_det")
        default_setup(cfg, args)
    check_data(cfg, train=not args.eval_only, allow_bad=args.allow_bad_data)
    if args.eval_only:
        return evaluate(cfg, args)
    logger.info(describe_scaling(given, cfg, processes))
    return train(cfg, args)


def train(cfg: CfgNode, args: argparse.Namespace) -> dict[str, Any]:
    """Train from ``MODEL.WEIGHTS``, or with ``--resume`` from the last checkpoint; evaluate.

    A training that torchrun has restarted resumes in any case. ``OUTPUT_DIR/result.json`` is
    written last: where it is, the run has finished.
    """
    resume = args.resume or was_restarted(Path(cfg.OUTPUT_DIR))
    code = commit()  # now: the checkout may change before the training ends
    checkpoints = CheckpointOptions(
        keep_last=args.keep_checkpoints,
        keep_best=args.keep_best,
        trust=args.trust_checkpoint,
        allow_unmatched=args.allow_unmatched,
        made_by=made_by(code, cfg.dump(), config_hash(cfg)),
    )
    trainer = Trainer(cfg, checkpoints, TrainingOptions.from_arguments(args))
    check_model(cfg, trainer.model, args.config_file)
    check_blocks_learn(trainer.model, trainer.optimizer)
    trainer.resume_or_load(resume=resume)
    timer = InferenceTimer(trainer.model)
    trainer.train()
    write_result(trainer, code, timer.s_per_image)
    return trainer.last_results


def evaluate(cfg: CfgNode, args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate ``MODEL.WEIGHTS``, or with ``--resume`` the last checkpoint of ``OUTPUT_DIR``.

    Raises:
        ValueError: the weights are of another model, or were trained with other class names, and
            there is no ``--allow-unmatched``.
    """
    model = Trainer.build_model(cfg)
    check_model(cfg, model, args.config_file)
    checkpointer = SafeCheckpointer(
        model,
        cfg.OUTPUT_DIR,
        require="nothing" if args.allow_unmatched else "all",
        trust=args.trust_checkpoint,
        names=names_of_data(cfg.DATASETS.TEST, read=True),
    )
    resume = args.resume and checkpointer.has_checkpoint()
    if args.resume and not resume:
        logger.warning(f"--resume: there is no checkpoint in {cfg.OUTPUT_DIR}; using MODEL.WEIGHTS")
    if not resume and not cfg.MODEL.WEIGHTS:
        logger.warning(
            "evaluating with no weights (MODEL.WEIGHTS is empty): the results are those of a "
            "random network; give MODEL.WEIGHTS path/to/model_final.pth, or --resume"
        )
    checkpointer.resume_or_load(cfg.MODEL.WEIGHTS, resume=args.resume)
    results = Trainer.test(cfg, model)
    if cfg.TEST.AUG.ENABLED:
        results.update(evaluate_augmented(Trainer, cfg, model))
    if comm.is_main_process():
        verify_results(cfg, results)
    return results
