"""What the training reads from a LazyConfig beside its calls, under the names of a YAML config.

The trainer, the stream's resume, the data's checks and the results all know these few names, so
that they are written once for both kinds of config.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from detectron2.config import CfgNode, get_cfg
from omegaconf import DictConfig, OmegaConf

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.detection.config import add_nonlocal_config

PATHS = {
    "OUTPUT_DIR": "train.output_dir",
    "SEED": "train.seed",
    "MODEL.DEVICE": "train.device",
    "MODEL.WEIGHTS": "train.init_checkpoint",
    "SOLVER.MAX_ITER": "train.max_iter",
    "SOLVER.AMP.ENABLED": "train.amp.enabled",
    "SOLVER.CHECKPOINT_PERIOD": "train.checkpointer.period",
    "TEST.EVAL_PERIOD": "train.eval_period",
    "TEST.EXPECTED_RESULTS": "train.expected_results",
    "SOLVER.BASE_LR": "optimizer.lr",
    "SOLVER.STEPS": "lr_multiplier.steps",
    "SOLVER.WARMUP_ITERS": "lr_multiplier.warmup_iters",
    "SOLVER.IMS_PER_BATCH": "dataloader.train.total_batch_size",
    "DATALOADER.NUM_WORKERS": "dataloader.train.num_workers",
    "DATALOADER.ASPECT_RATIO_GROUPING": "dataloader.train.aspect_ratio_grouping",
    "DATALOADER.SAMPLER_TRAIN": "dataloader.train.sampler",
    "DATASETS.TRAIN": "dataloader.train.dataset.names",
    "DATASETS.TEST": "dataloader.test.dataset.names",
    "INPUT.FORMAT": "dataloader.train.mapper.image_format",
    "INPUT.MASK_FORMAT": "dataloader.train.mapper.instance_mask_format",
    "MODEL.MASK_ON": "dataloader.train.mapper.use_instance_mask",
    "MODEL.KEYPOINT_ON": "dataloader.train.mapper.use_keypoint",
    "MODEL.ROI_HEADS.NUM_CLASSES": "model.roi_heads.num_classes",
    "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS": "model.roi_heads.keypoint_head.num_keypoints",
    "TEST.KEYPOINT_OKS_SIGMAS": "dataloader.evaluator.kpt_oks_sigmas",
}
"""Where a LazyConfig has what a YAML config has under a key."""
_WORDS = {
    **PATHS,
    "MODEL.NONLOCAL.AFTER_BLOCKS": "after_blocks",
    "MODEL.NONLOCAL.KEYPOINT_AFTER_CONVS": "after_convs",
    "MODEL.BACKBONE.FREEZE_AT": "freeze_at",
    "SOLVER.CLIP_GRADIENTS.ENABLED True": "nonlocal_det.training.lazy.clipped_sgd",
}
_WORD = re.compile("|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True)))


def read_settings(lazy: DictConfig) -> CfgNode:
    """What a LazyConfig says under `PATHS`, over Detectron2's defaults.

    Args:
        lazy: a whole LazyConfig; it may lack paths, as another project's will.

    Raises:
        ValueError: a value of another type than it must have.
    """
    cfg = get_cfg()
    add_nonlocal_config(cfg)
    for key, path in PATHS.items():
        value = OmegaConf.select(lazy, path)
        if value is None or OmegaConf.is_dict(value):  # a call, as of a sampler of one's own
            continue
        node, leaf = _find(cfg, key)
        node[leaf] = _as_type_of(node[leaf], path, value)
    return cfg


def write_settings(lazy: DictConfig, before: CfgNode, after: CfgNode) -> None:
    """Change a LazyConfig as its settings were changed.

    Args:
        lazy: changed in place.
        before: what `read_settings` gave.
        after: the same, changed.

    Raises:
        ValueError: the LazyConfig has not the path of what was changed.
    """
    for key, path in PATHS.items():
        (old, leaf), (new, _) = _find(before, key), _find(after, key)
        value = list(new[leaf]) if isinstance(new[leaf], tuple) else new[leaf]
        if new[leaf] == old[leaf]:
            continue
        if OmegaConf.select(lazy, path) is None:
            raise ValueError(
                f"{path} would have to be {value}, but the config has no such path; say it in the "
                "calls that stand in its place"
            )
        OmegaConf.update(lazy, path, value, merge=False)


def _find(cfg: CfgNode, key: str) -> tuple[CfgNode, str]:
    *nodes, leaf = key.split(".")
    for name in nodes:
        cfg = cfg[name]
    return cfg, leaf


def _as_type_of(default: Any, path: str, value: Any) -> Any:
    if OmegaConf.is_list(value):
        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(default, tuple | list):
        return type(default)([value] if isinstance(value, str) else value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f"{path}={value!r}; expected {type(default).__name__}, as {default!r}")
    return value


def in_lazy_words(text: str) -> str:
    """A message with the paths of a LazyConfig where it has the keys of a YAML config."""
    return _WORD.sub(lambda found: _WORDS[found[0]], text)


@contextmanager
def lazy_errors() -> Iterator[None]:
    """As `one_line_errors`, `in_lazy_words`.

    Raises:
        SystemExit: for a ValueError or FileNotFoundError raised by this package.
    """
    try:
        with one_line_errors():
            yield
    except SystemExit as stop:
        if not isinstance(stop.code, str):
            raise
        raise SystemExit(in_lazy_words(stop.code)) from None
