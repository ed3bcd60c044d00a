"""The options by which users name data sets of their own, one row for each form of data."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detectron2.config import CfgNode

from nonlocal_det.video.datasets import add_video_data

from .coco_data import register_coco_data
from .fit_config import fit_config

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
