"""What is refused or warned of before the first iteration: config, data and model."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm
from torch import nn

from nonlocal_det.data import (
    check_registered,
    clean_unregistered,
    forget_contents,
    replace_json,
)
from nonlocal_det.data.user_data import USER_DATA
from nonlocal_det.detection.config import add_nonlocal_config
from nonlocal_det.layers import NonLocalBlock, nonlocal_blocks

logger = logging.getLogger("nonlocal_det")
T = TypeVar("T")
CLEAN = "clean_data"
"""The folder in OUTPUT_DIR of the copies that ``--allow-bad-data`` writes."""


def check_config(cfg: CfgNode, config_file: str = "", *, train: bool = True) -> None:
    """Refuse what cannot work.

    Args:
        cfg: a full config.
        config_file: named in messages.
        train: a training is to come; an evaluation needs no training data.

    Raises:
        ValueError: AMP elsewhere than on CUDA or a CPU, test-time augmentation of keypoints, an
            unknown data set.
        FileNotFoundError: a data set's or the weights' file is not there.
    """
    if cfg.SOLVER.AMP.ENABLED and not cfg.MODEL.DEVICE.startswith(("cuda", "cpu")):
        raise ValueError(
            f"SOLVER.AMP.ENABLED=True needs CUDA or a CPU, and MODEL.DEVICE={cfg.MODEL.DEVICE!r}; "
            "set SOLVER.AMP.ENABLED False"
        )
    if cfg.TEST.AUG.ENABLED and cfg.MODEL.KEYPOINT_ON:
        raise ValueError(
            "TEST.AUG.ENABLED=True with MODEL.KEYPOINT_ON=True: Detectron2's test-time "
            "augmentation does not support keypoints; set TEST.AUG.ENABLED False"
        )
    check_present(cfg, config_file, train=train)
    weights = cfg.MODEL.WEIGHTS
    if weights and "://" not in weights and not Path(weights).is_file():
        raise FileNotFoundError(
            f"MODEL.WEIGHTS={weights!r}: no such file; give the path of a checkpoint, a catalogue "
            'name as detectron2://ImageNetPretrained/MSRA/R-50.pkl, or "" to start from scratch'
        )


def check_present(cfg: CfgNode, config_file: str = "", *, train: bool) -> None:
    """Refuse data sets that are not registered, or whose annotations are not there.

    Args:
        cfg: names the data sets.
        config_file: named in messages.
        train: those to train with too.

    Raises:
        ValueError: an unknown data set.
        FileNotFoundError: its file is not there.
    """
    for name in (*(cfg.DATASETS.TRAIN if train else ()), *cfg.DATASETS.TEST):
        if name not in DatasetCatalog.list():
            raise ValueError(
                f"DATASETS of {config_file or 'the config'} names {name!r}, which is not "
                "registered; register your own with "
                + " or ".join(data.usage for data in USER_DATA)
            )
        metadata = MetadataCatalog.get(name)
        json_file = metadata.get("json_file", None)
        if json_file is None or Path(json_file).is_file():
            continue
        root = os.environ.get("DETECTRON2_DATASETS", "datasets")
        how = (
            f"set DETECTRON2_DATASETS (now {root!r}) to a folder with "
            "coco/annotations/*.json, coco/train2017/ and coco/val2017/"
        )
        if drawn_by := metadata.get("drawn_by", None):
            how = f"draw it with `python {drawn_by} {root}`"
        raise FileNotFoundError(f"data set {name!r}: there is no {json_file}; {how}")


def check_test_data(cfg: CfgNode) -> None:
    """Refuse test data that is not there, or bad, for tools that do not train.

    Raises:
        ValueError: an unknown data set, none, or bad data.
        FileNotFoundError: its file is not there.
    """
    if not cfg.DATASETS.TEST:
        raise ValueError("DATASETS.TEST of the config is empty; name one")
    check_present(cfg, train=False)
    check_data(cfg, train=False)


def check_data(cfg: CfgNode, *, train: bool, allow_bad: bool = False) -> None:
    """Check the data sets of a config once on each machine; leave out bad rows if that is allowed.

    Args:
        cfg: a full config.
        train: a training is to come, not only an evaluation.
        allow_bad: use annotation files without the bad rows, in ``OUTPUT_DIR/clean_data``.

    Raises:
        ValueError: the data is bad; in all processes.
    """
    names = cfg.DATASETS.TRAIN if train else ()
    folder = Path(cfg.OUTPUT_DIR) / CLEAN if allow_bad else None
    clean = _once_per_machine(lambda: check_registered(cfg, names, cfg.DATASETS.TEST, folder))
    forget_contents()
    for name, path in clean.items():
        replace_json(name, path)
    for name in cfg.DATASETS.TEST if allow_bad else ():
        MetadataCatalog.get(name).allow_bad_data = True


def allow_own_data(cfg: CfgNode, entries: Sequence[Sequence[str]]) -> list[list[str]]:
    """Replace ``--coco-data`` by copies without the bad rows, before it is registered.

    Args:
        cfg: names the parts of the data that are used.
        entries: name, json and images of each.

    Raises:
        ValueError: bad data cannot be left out.
    """
    folder = Path(cfg.OUTPUT_DIR) / CLEAN
    return _once_per_machine(lambda: [clean_unregistered(cfg, entry, folder) for entry in entries])


def _once_per_machine(work: Callable[[], T]) -> T:
    """Let the first process of each machine work, and give its result to the others.

    Raises:
        ValueError: the work raised one, or a FileNotFoundError, on some machine; in all processes,
            so that none waits for the others.
    """
    result: T | None = None
    error = ""
    if comm.get_local_rank() == 0:
        try:
            result = work()
        except (ValueError, FileNotFoundError) as raised:
            if comm.get_world_size() == 1:
                raise
            error = str(raised)
    results = comm.all_gather((result, error))
    for _, message in results:
        if message:
            raise ValueError(message)
    shared: T = results[comm.get_rank() - comm.get_local_rank()][0]
    return shared


def check_model(cfg: CfgNode, model: nn.Module, config_file: str = "") -> None:
    """Refuse a non-local model that ended up without a block; warn of options without effect.

    Raises:
        ValueError: the config's name begins with ``nl_`` and the model has no non-local block.
    """
    if nonlocal_blocks(model):
        return
    if Path(config_file).name.startswith("nl_"):
        raise ValueError(
            f"{config_file} is a non-local config, but the model it built has no non-local block: "
            f"MODEL.BACKBONE.NAME={cfg.MODEL.BACKBONE.NAME!r}, MODEL.ROI_KEYPOINT_HEAD.NAME="
            f"{cfg.MODEL.ROI_KEYPOINT_HEAD.NAME!r}, MODEL.KEYPOINT_ON={cfg.MODEL.KEYPOINT_ON}; "
            "undo the option that removed it, or train the baseline config"
        )
    default = get_cfg()
    add_nonlocal_config(default)
    if cfg.MODEL.NONLOCAL != default.MODEL.NONLOCAL:
        logger.warning(
            "MODEL.NONLOCAL was changed but the model has no non-local block, so it does nothing; "
            "choose MODEL.BACKBONE.NAME build_nonlocal_resnet_fpn_backbone"
        )


def check_blocks_learn(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Refuse a training in which a non-local block could never become more than the identity.

    Frozen stages, frozen norms and positions that do not exist are refused as the model is built.

    Args:
        model: before any weights are loaded into it: its blocks are the identity.
        optimizer: of the training.

    Raises:
        ValueError: the weight that starts at 0 in a block is frozen, not in the optimizer or has
            the rate 0, or all that it is multiplied with is 0 too.
    """
    learning = {
        id(parameter)
        for group in optimizer.param_groups
        if group.get("initial_lr", group["lr"]) > 0  # the warm-up's first rate may be 0
        for parameter in group["params"]
        if parameter.requires_grad
    }
    for name, block in nonlocal_blocks(model).items():
        weight = block.zero_init_layer.weight
        assert isinstance(weight, torch.Tensor)
        if weight.any():
            continue
        if id(weight) not in learning:
            raise ValueError(
                f"{name} would stay the identity for ever: the weight that starts at 0 in it does "
                "not learn; let the optimizer have it, unfrozen, with SOLVER.BASE_LR above 0"
            )
        if not isinstance(block, NonLocalBlock):
            continue
        # a product of two layers that are both 0 has no gradient in either
        other = "g" if block.zero_init_layer is block.w_z else "w_z"
        if not any(parameter.any() for parameter in getattr(block, other).parameters()):
            raise ValueError(
                f"{name} would stay the identity for ever: {other} is 0 too, as what follows it "
                "is at the start, so neither has a gradient; call its reset_parameters()"
            )
