"""Scale batch and learning rate to the number of processes; the log has what was done."""

from detectron2.config import CfgNode
from detectron2.engine import DefaultTrainer

REFERENCE = 8  # processes for which Detectron2's COCO configs, and ours, were written
_PERIODS = (("TEST", "EVAL_PERIOD"), ("SOLVER", "CHECKPOINT_PERIOD"))


def fit_to_processes(cfg: CfgNode, processes: int, *, scale_lr: bool = False) -> CfgNode:
    """Scale a config as Detectron2's ``SOLVER.REFERENCE_WORLD_SIZE`` asks, if it or the user does.

    The images a process stay the same: ``IMS_PER_BATCH`` and ``BASE_LR`` grow with the processes,
    iterations, steps, warm-up and periods shrink (the linear rule of Goyal et al. 2017).

    Args:
        cfg: a full config; not changed.
        processes: of the training, on all machines.
        scale_lr: scale a config that names no reference from `REFERENCE` processes.

    Returns:
        The config to train with.

    Raises:
        ValueError: the images of a batch cannot be shared equally.
    """
    reference = cfg.SOLVER.REFERENCE_WORLD_SIZE or (REFERENCE if scale_lr else 0)
    if reference and reference != processes:
        cfg = _scale(cfg, reference, processes)
    images = cfg.SOLVER.IMS_PER_BATCH
    if images % processes:
        fewer, more = images // processes * processes, -(-images // processes) * processes
        choice = f"{fewer} or {more}" if fewer else f"{more}"
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH={images} cannot be shared equally by {processes} processes; set "
            f"SOLVER.IMS_PER_BATCH {choice} (and BASE_LR in proportion), or --scale-lr"
        )
    return cfg


def _scale(cfg: CfgNode, reference: int, processes: int) -> CfgNode:
    images = cfg.SOLVER.IMS_PER_BATCH
    if images % reference:
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH={images} is no multiple of SOLVER.REFERENCE_WORLD_SIZE="
            f"{reference}, the processes it is said to be for; set either so that it is"
        )
    scaled = cfg.clone()
    scaled.defrost()
    scaled.SOLVER.REFERENCE_WORLD_SIZE = reference
    scaled = DefaultTrainer.auto_scale_workers(scaled, processes)
    for node, key in _PERIODS:
        if cfg[node][key] > 0:
            scaled[node][key] = max(1, scaled[node][key])  # 0 would be never
    scaled.freeze()
    return scaled


def describe_scaling(before: CfgNode, after: CfgNode, processes: int) -> str:
    """Describe in a line what was done with batch and learning rate.

    Args:
        before: the config as the user gave it.
        after: what `fit_to_processes` has made of it.
        processes: of the training.
    """
    images, rate = after.SOLVER.IMS_PER_BATCH, after.SOLVER.BASE_LR
    now = (
        f"{processes} processes with {images // processes} images each: "
        f"SOLVER.IMS_PER_BATCH={images}, BASE_LR={rate:g}, MAX_ITER={after.SOLVER.MAX_ITER}"
    )
    if after.SOLVER.IMS_PER_BATCH == before.SOLVER.IMS_PER_BATCH:
        return f"{now}, as the config says; nothing is scaled"
    old = before.SOLVER
    return (
        f"{now}, scaled from {old.IMS_PER_BATCH}, {old.BASE_LR:g} and {old.MAX_ITER} for "
        f"{old.REFERENCE_WORLD_SIZE or REFERENCE} processes"
    )
