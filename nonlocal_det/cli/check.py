"""Find what is wrong with COCO-format data or with videos, before a training does.

Exit status: 0 usable, 3 a training would stop or learn something wrong, 1 nothing could be
checked, 2 the command line is wrong.

Examples, the first after quickstart:
  %(prog)s datasets/mini_coco/annotations/instances_train2017.json datasets/mini_coco/train2017
  %(prog)s train.json images/ --images all --clean clean.json --json report.json
  %(prog)s --video list.csv videos/   # or - for class folders
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.data.check import (
    IMAGES,
    check_dataset,
    check_splits,
    issue_table,
    report_json,
    report_text,
    write_clean,
)

PARTS = ("masks", "keypoints", "evaluation")
USABLE, BAD = 0, 3


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, check, print and exit."""
    parser = _build_parser()
    args = parser.parse_args(argv)
    if args.kinds:
        print(issue_table())
        return
    if args.video:
        with one_line_errors():
            sys.exit(check_videos(args))
    if args.json_file is None:
        parser.error("the following arguments are required: JSON")
    with one_line_errors():
        status = _check(args)
    sys.exit(status)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json_file", nargs="?", type=Path, metavar="JSON", help="annotation file")
    parser.add_argument("image_root", nargs="?", type=Path, metavar="IMAGES", help="image folder")
    parser.add_argument(
        "--video",
        nargs=2,
        metavar=("LIST", "FOLDER"),
        help="check videos, named as for --video-data: all headers, with --images all every frame",
    )
    parser.add_argument("--images", choices=IMAGES, default="sample", help="whose files are read")
    parser.add_argument(
        "--train",
        nargs=2,
        type=Path,
        default=(),
        metavar=("JSON", "IMAGES"),
        help="this is test data: it must share no image with these",
    )
    parser.add_argument("--without", nargs="+", choices=PARTS, default=(), help="not used for")
    parser.add_argument("--examples", type=int, default=3, help="shown of each kind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report here")
    parser.add_argument("--clean", type=Path, metavar="COPY", help="write a json without bad data")
    parser.add_argument("--kinds", action="store_true", help="print the table of all kinds")
    return parser


def check_videos(args: argparse.Namespace) -> int:
    """Check the labels and files of a user's videos, print the report and write what is asked for.

    Returns:
        The exit status.

    Raises:
        FileNotFoundError: there is no such list or folder.
        ValueError: a line of the list cannot be read, or a label is not in the class list.
    """
    from nonlocal_det.video.check import find_problems, list_warnings, read_header, read_whole
    from nonlocal_det.video.datasets import read_user_data

    listing, folder = args.video
    classes, records = read_user_data([("videos", listing, folder)])
    paths = list(dict.fromkeys(record["file_name"] for record in records["videos"]))
    read = read_whole if args.images == "all" else read_header
    if args.images == "none":
        paths = []
    problems = list(find_problems(paths, read, progress=sys.stderr.isatty()))
    print(f"{folder}: {len(records['videos'])} videos of {len(classes)} classes, {len(paths)} read")
    for problem in problems[: args.examples]:
        print(f"  unreadable: {problem}")
    if len(problems) > args.examples:
        print(f"  ... and {len(problems) - args.examples} more (--examples, --json)")
    for line in list_warnings(records["videos"], classes):
        print(f"  of note: {line}")
    print(f"{folder}: " + (f"{len(problems)} videos cannot be read" if problems else "usable"))
    if args.json is not None:
        entries = [{"file": problem.path, "reason": problem.reason} for problem in problems]
        report = {"classes": classes, "videos": len(records["videos"]), "unreadable": entries}
        args.json.write_text(json.dumps(report, indent=1))
    return BAD if problems else USABLE


def _check(args: argparse.Namespace) -> int:
    """Check, print the report and write what is asked for.

    Returns:
        The exit status.

    Raises:
        FileNotFoundError: there is no such folder of images.
        ValueError: a clean copy cannot be made.
    """
    json_file, root = args.json_file, args.image_root
    if root is not None and not root.is_dir():
        raise FileNotFoundError(
            f"image folder {root} does not exist; give the folder to which each "
            f'"file_name" in {json_file} is relative, or none to check the json only'
        )
    uses = frozenset(PARTS) - set(args.without)
    checked = check_dataset(
        json_file,
        root,
        images=args.images,
        training=not args.train,
        progress=sys.stderr.isatty(),
    )
    if args.train:
        check_splits(check_dataset(*args.train, images="none"), checked)
    print(report_text(checked, uses, args.examples))
    if args.json is not None:
        args.json.write_text(json.dumps(report_json(checked, uses), indent=1))
    if args.clean is not None:
        numbers = write_clean(checked, args.clean, uses)
        print(
            f"{args.clean}: without {numbers['images']} images and {numbers['annotations']} "
            f"annotations, {numbers['corrected']} corrected"
        )
    return BAD if checked.findings.stopping(uses) else USABLE
