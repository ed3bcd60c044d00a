"""The options by which users name data sets of their own, and how a config follows the data."""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detectron2.config import CfgNode

from nonlocal_det.video.datasets import add_video_data

from .coco_data import CocoData, register_coco_data

Entry = Sequence[str]
"""The values of an option, as a name, a json and a folder."""


@dataclass(frozen=True)
class UserData:
    """A repeatable option of the command line that registers a data set.

    Attributes:
        flag: as ``--coco-data``.
        values: their names in the help.
        help: what the option does.
        add: registers the entries and lets a config follow them; is given config, entries and the
            keys that the user's options set.
    """

    flag: str
    values: tuple[str, ...]
    help: str
    add: Callable[[CfgNode, Sequence[Entry], Sequence[str]], None]

    @property
    def usage(self) -> str:
        """The option as a user types it."""
        return " ".join([self.flag, *self.values])

    def entries(self, args: argparse.Namespace) -> list[Entry]:
        """Return what the command line has given."""
        return list(getattr(args, self.flag.lstrip("-").replace("-", "_"), None) or ())


def add_coco_data(cfg: CfgNode, entries: Sequence[Entry], given: Sequence[str]) -> None:
    """Register data in COCO's format, and let a config follow it; see `fit_config`."""
    fit_config(cfg, [register_coco_data(*entry) for entry in entries], given=given)


USER_DATA = (
    UserData(
        "--coco-data",
        ("NAME", "JSON", "IMAGES"),
        "register your own COCO-format data under a name; repeatable",
        add_coco_data,
    ),
    UserData(
        "--video-data",
        ("NAME", "LIST", "FOLDER"),
        "register your own videos under a name: LIST has a line 'path,label' or 'path label' for "
        "each file of FOLDER, or is - where FOLDER has a folder for each class; repeatable",
        add_video_data,
    ),
)


def add_user_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `USER_DATA` to a parser."""
    for data in USER_DATA:
        parser.add_argument(
            data.flag,
            nargs=len(data.values),
            action="append",
            default=[],
            metavar=data.values,
            help=data.help,
        )


def add_user_data(cfg: CfgNode, args: argparse.Namespace, given: Sequence[str]) -> None:
    """Register what the options of `USER_DATA` name, and let a config follow it.

    Args:
        cfg: changed in place.
        args: of a parser with these options.
        given: the keys that the user's options set.

    Raises:
        FileNotFoundError: a file or folder is not there.
        ValueError: the data cannot be used, or an option contradicts it.
    """
    for data in USER_DATA:
        data.add(cfg, data.entries(args), given)


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
