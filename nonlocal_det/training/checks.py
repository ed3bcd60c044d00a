"""What is refused before the first iteration, and what is said: nothing a user would learn late."""

import logging
import os
from pathlib import Path

import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from torch import nn

from nonlocal_det.detection.config import add_nonlocal_config
from nonlocal_det.layers import NonLocalBlock, nonlocal_blocks
from nonlocal_det.synthetic.long_range import set_of

logger = logging.getLogger("nonlocal_det")


def check_config(cfg: CfgNode, config_file: str = "") -> None:
    """Refuse what cannot work.

    Args:
        cfg: a full config.
        config_file: named in messages.

    Raises:
        ValueError: combinations that fail later: AMP elsewhere than on CUDA or a CPU, test-time
            augmentation of keypoints, an unknown data set.
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
    for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST):
        check_present(name, config_file)
    weights = cfg.MODEL.WEIGHTS
    if weights and "://" not in weights and not Path(weights).is_file():
        raise FileNotFoundError(
            f"MODEL.WEIGHTS={weights!r}: no such file; give the path of a checkpoint, a catalogue "
            'name as detectron2://ImageNetPretrained/MSRA/R-50.pkl, or "" to start from scratch'
        )


def check_test_data(cfg: CfgNode, config_file: str = "") -> None:
    """Refuse test data that is not there: for what does not train.

    Args:
        cfg: a full config.
        config_file: named in messages.

    Raises:
        ValueError: an unknown data set, or none.
        FileNotFoundError: its file is not there.
    """
    if not cfg.DATASETS.TEST:
        raise ValueError(f"DATASETS.TEST of {config_file or 'the config'} is empty; name one")
    for name in cfg.DATASETS.TEST:
        check_present(name, config_file)


def check_present(name: str, config_file: str) -> None:
    """Refuse a data set that is not registered or whose annotations are not there.

    Args:
        name: of a registered data set.
        config_file: named in messages.

    Raises:
        ValueError: it is not registered.
        FileNotFoundError: its annotations are not there; says how to get them.
    """
    if name not in DatasetCatalog.list():
        raise ValueError(
            f"DATASETS of {config_file or 'the config'} names {name!r}, which is not registered; "
            "register your own with --coco-data NAME JSON IMAGES"
        )
    json_file = MetadataCatalog.get(name).get("json_file", None)
    if json_file is None or Path(json_file).is_file():
        return
    root = os.environ.get("DETECTRON2_DATASETS", "datasets")
    how = (
        f"set DETECTRON2_DATASETS (now {root!r}) to a folder with "
        "coco/annotations/*.json, coco/train2017/ and coco/val2017/"
    )
    if name.startswith("mini_coco"):
        how = f"draw it with `python tools/make_mini_coco.py {root}`"
    if drawn := set_of(name):
        how = f"draw it with `python tools/make_long_range.py {drawn} {root}`"
    raise FileNotFoundError(f"data set {name!r}: there is no {json_file}; {how}")


def check_model(cfg: CfgNode, model: nn.Module, config_file: str = "") -> None:
    """Refuse a non-local model that ended up without a block, and say when options do nothing.

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
        ValueError: what starts at 0 in a block does not learn: it is frozen, it is not in the
            optimizer or has the rate 0, or all that it is multiplied with is 0 too.
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


def warn_without_weights(cfg: CfgNode) -> None:
    """Say that an evaluation would be one of random weights."""
    if not cfg.MODEL.WEIGHTS:
        logger.warning(
            "evaluating with no weights (MODEL.WEIGHTS is empty): the results are those of a "
            "random network; give MODEL.WEIGHTS path/to/model_final.pth, or --resume"
        )
