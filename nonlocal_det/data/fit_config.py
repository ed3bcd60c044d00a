"""Fit a config to a user's own data sets: what they decide, and what they rule out."""

import math
from collections.abc import Sequence

from detectron2.config import CfgNode

from .coco_data import CocoData


def fit_config(cfg: CfgNode, data: Sequence[CocoData], given: Sequence[str]) -> None:
    """Set what a data set decides, unless an option has already said the same.

    Args:
        cfg: changed in place.
        data: the data sets registered by ``--coco-data``.
        given: the keys that the user's options set.

    Raises:
        ValueError: no data set of ``DATASETS`` is among them, two disagree, an option contradicts
            the data, or the model predicts what the data does not have.
    """
    used = [entry for entry in data if entry.name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)]
    if data and not used:
        names = ", ".join(entry.name for entry in data)
        raise ValueError(
            f"--coco-data registered {names}, but DATASETS.TRAIN={cfg.DATASETS.TRAIN} and "
            f"DATASETS.TEST={cfg.DATASETS.TEST} name none of them; add DATASETS.TRAIN "
            f"\"('{data[0].name}',)\" and DATASETS.TEST in the same way"
        )
    for entry in used:
        decided = _decided_by(entry)
        _check_heads(cfg, entry)
        for key, value in decided.items():
            _set(cfg, key, value, entry, given)
        given = [*given, *decided]  # the next data set must agree


def set_sigmas(cfg: CfgNode, sigmas: Sequence[float]) -> None:
    """Evaluate keypoints with OKS sigmas that neither the data nor COCO has.

    Raises:
        ValueError: the model has no keypoints or another number of them, or a sigma is not above 0.
    """
    expected = cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS
    if not cfg.MODEL.KEYPOINT_ON:
        raise ValueError("--oks-sigmas with MODEL.KEYPOINT_ON=False: the model has no keypoints")
    if len(sigmas) != expected or not all(0 < sigma < math.inf for sigma in sigmas):
        raise ValueError(
            f"--oks-sigmas {','.join(map(str, sigmas))}: expected {expected} numbers above 0, one "
            "per keypoint (MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS)"
        )
    cfg.TEST.KEYPOINT_OKS_SIGMAS = list(sigmas)


def _decided_by(data: CocoData) -> dict[str, object]:
    decided: dict[str, object] = {
        "MODEL.ROI_HEADS.NUM_CLASSES": len(data.class_names),
        "MODEL.RETINANET.NUM_CLASSES": len(data.class_names),
    }
    if data.keypoint_names:
        decided["MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS"] = len(data.keypoint_names)
        decided["TEST.KEYPOINT_OKS_SIGMAS"] = list(data.oks_sigmas)
    return decided


def _set(cfg: CfgNode, key: str, value: object, data: CocoData, given: Sequence[str]) -> None:
    *path, leaf = key.split(".")
    node = cfg
    for name in path:
        node = node[name]
    current = list(node[leaf]) if isinstance(node[leaf], tuple) else node[leaf]
    if key in given and current != value:
        raise ValueError(f"{key}={current} but the data set {data.name!r} has {value}")
    node[leaf] = value


def _check_heads(cfg: CfgNode, data: CocoData) -> None:
    if data.name not in cfg.DATASETS.TRAIN:
        return
    for key, has, what in (
        ("MASK_ON", data.has_masks, "segmentation"),
        ("KEYPOINT_ON", data.has_keypoints, "keypoints"),
    ):
        if cfg.MODEL[key] and not has:
            raise ValueError(
                f"MODEL.{key}=True, but the annotations of {data.name!r} have no {what}; "
                f"set MODEL.{key} False or choose a config without that head"
            )
