"""From a command line to a checked LazyConfig."""

import argparse

from detectron2.config import CfgNode, LazyConfig
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nonlocal_det.cli.arguments import build_argument_parser, complete_config
from nonlocal_det.model_zoo import find_lazy_config

from .settings import PATHS, read_settings, write_settings

PARTS = ("model", "dataloader", "optimizer", "lr_multiplier", "train")
FIXED = {
    "train.log_period": 20,
    "train.ddp.broadcast_buffers": False,
    "train.ddp.find_unused_parameters": False,
    "train.ddp.fp16_compression": False,
}
"""What other LazyConfigs say and this training does not act on, with the value it works with."""
_OTHERS = ("train.cudnn_benchmark", "train.checkpointer.max_to_keep", *FIXED)

EXAMPLES = """
A LazyConfig is a program: it runs as it is loaded, here and in each process of the training. Load
none that you would not run. Options are as train_net.py's, with PATH=VALUE instead of KEY VALUE.
Logs name settings by a YAML config's keys: MODEL.WEIGHTS is train.init_checkpoint. What only
train_net.py has: test-time augmentation (TEST.AUG), precise batch norm (TEST.PRECISE_BN), and
failed steps that replay_batch.py can run again.

examples:
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py --num-gpus 8
  torchrun --nproc-per-node 8 tools/lazyconfig_train_net.py --config-file nl_mask_rcnn_R50
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py --eval-only \\
      train.init_checkpoint=model.pth
  lazyconfig_train_net.py --config-file configs/lazy/nl_mask_rcnn_R50.py optimizer.lr=0.01 \\
      model.backbone.bottom_up.block.pairwise=dot_product model.roi_heads.num_classes=5
"""


def build_lazy_parser() -> argparse.ArgumentParser:
    """The options of ``tools/train_net.py``, with another ``--help``."""
    return build_argument_parser(EXAMPLES)


def load_lazy_config(args: argparse.Namespace) -> tuple[DictConfig, CfgNode]:
    """The LazyConfig that a command line describes, and its settings, checked.

    Args:
        args: of `build_lazy_parser`; ``config_file`` becomes the path found, and
            ``keep_checkpoints`` what the config says if the command line does not.

    Raises:
        FileNotFoundError: no such config, data or weights; suggests near names.
        ValueError: a part is missing, an override is none, or a combination cannot work.
    """
    lazy = merge_lazy_config(args)
    cfg = read_settings(lazy)
    before = cfg.clone()
    overridden = {override.partition("=")[0] for override in args.opts or []}
    complete_config(cfg, args, given=[key for key, path in PATHS.items() if path in overridden])
    write_settings(lazy, before, cfg)
    if args.keep_checkpoints is None:
        args.keep_checkpoints = OmegaConf.select(lazy, "train.checkpointer.max_to_keep")
    cfg.freeze()
    return lazy, cfg


def merge_lazy_config(args: argparse.Namespace) -> DictConfig:
    """The file and the overrides; data is not looked at.

    Raises:
        FileNotFoundError: no such config; suggests near names.
        ValueError: a part is missing, or an override is none.
    """
    if not args.config_file:
        raise ValueError(
            "--config-file is missing; as --config-file configs/lazy/nl_mask_rcnn_R50.py"
        )
    args.config_file = find_lazy_config(args.config_file)
    lazy = LazyConfig.load(args.config_file)
    missing = [part for part in PARTS if part not in lazy]
    missing += [
        f"dataloader.{part}"
        for part in ("train", "test", "evaluator")
        if "dataloader" in lazy and part not in lazy.dataloader
    ]
    if missing:
        raise ValueError(
            f"{args.config_file} has no {', '.join(missing)}; the LazyConfig of a training has "
            f"{', '.join(PARTS)}"
        )
    for override in args.opts or []:
        _override(lazy, override)
    _check_train(lazy)
    return lazy


def _override(lazy: DictConfig, override: str) -> None:
    path, equals, _ = override.partition("=")
    if not equals:
        raise ValueError(
            f"{override!r} is no override of a LazyConfig; write PATH=VALUE, after all options"
        )
    parent, _, leaf = path.rpartition(".")
    node = OmegaConf.select(lazy, parent) if parent else lazy
    # a new argument of a call is no mistake; a part that does not exist is
    known = isinstance(node, ListConfig) or leaf in (node or ()) or "_target_" in (node or ())
    if not known:
        has = ", ".join(map(str, node)) if isinstance(node, DictConfig) else "nothing"
        raise ValueError(f"{override}: {parent or 'the config'} has no {leaf!r}; it has {has}")
    try:
        LazyConfig.apply_overrides(lazy, [override])
    except (OmegaConfBaseException, KeyError) as error:
        raise ValueError(f"{override}: {str(error).splitlines()[0]}") from error


def _check_train(lazy: DictConfig) -> None:
    """Refuse what ``train`` says in vain."""
    for path in _paths(lazy.train, "train"):
        value = OmegaConf.select(lazy, path)
        if path in FIXED and value != FIXED[path]:
            raise ValueError(f"{path}={value} is not done here; leave it at {FIXED[path]}")
        known = {*PATHS.values(), *_OTHERS}
        if path not in known:
            has = ", ".join(sorted(one for one in known if one.startswith("train.")))
            raise ValueError(f"{path}={value} says nothing here; take it out. There are {has}")


def _paths(node: DictConfig, prefix: str) -> list[str]:
    found: list[str] = []
    for key, value in node.items():
        path = ".".join((prefix, str(key)))
        found += _paths(value, path) if isinstance(value, DictConfig) else [path]
    return found
