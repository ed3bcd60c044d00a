"""Find what is wrong with COCO-format data, before a training does.

Exit status: 0 usable, 3 a training would stop or learn something wrong, 1 nothing could be
checked, 2 the command line is wrong.

Example: python tools/check_dataset.py train.json images/ --images all --clean clean.json
"""

import argparse
import sys
from pathlib import Path

from nonlocal_det.cli.check import PARTS, check_files
from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.data.check import kinds_table
from nonlocal_det.data.check.image_files import IMAGES


def main() -> None:
    """Parse the command line, check, print and exit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json_file", nargs="?", type=Path, metavar="JSON", help="annotation file")
    parser.add_argument("image_root", nargs="?", type=Path, metavar="IMAGES", help="image folder")
    parser.add_argument("--images", choices=IMAGES, default="sample", help="whose files are read")
    parser.add_argument("--train", nargs=2, type=Path, default=(), metavar=("JSON", "IMAGES"),
                        help="this is test data: it must share no image with these")  # fmt: skip
    parser.add_argument("--without", nargs="+", choices=PARTS, default=(), help="not used for")
    parser.add_argument("--examples", type=int, default=3, help="shown of each kind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report here")
    parser.add_argument("--clean", type=Path, metavar="COPY", help="write a json without bad data")
    parser.add_argument("--kinds", action="store_true", help="print the table of all kinds")
    args = parser.parse_args()
    if args.kinds:
        print(kinds_table())
        return
    if args.json_file is None:
        parser.error("the following arguments are required: JSON")
    with one_line_errors():
        text, status = check_files(
            args.json_file, args.image_root, images=args.images, train=args.train,
            without=args.without, examples=args.examples, json_out=args.json, clean=args.clean,
            progress=sys.stderr.isatty(),
        )  # fmt: skip
    print(text)
    sys.exit(status)


if __name__ == "__main__":
    main()
