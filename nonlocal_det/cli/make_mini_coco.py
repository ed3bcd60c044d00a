"""Draw a small data set OUT/mini_coco in COCO's layout: people with keypoints, and shapes.

Example:
  %(prog)s datasets
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.synthetic.mini_coco import make_mini_coco

from .errors import one_line_errors


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, make the data set and print where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of all data sets, e.g. datasets")
    parser.add_argument(
        "--train", dest="num_train", type=int, default=400, help="number of training images"
    )
    parser.add_argument(
        "--val", dest="num_val", type=int, default=100, help="number of validation images"
    )
    parser.add_argument("--size", type=int, default=128, help="typical side of an image, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="replace data made otherwise")
    args = parser.parse_args(argv)
    with one_line_errors():
        print(make_mini_coco(**vars(args)))
