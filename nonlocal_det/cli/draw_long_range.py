"""Draw the long-range suite's figures: accuracy against distance, and each model's attention.

Example, after reproduce --suite long-range --only beacon:
  %(prog)s output/reproduce/long-range/results.json --out output/figures
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.experiments.long_range.figures import draw_long_range

from .errors import one_line_errors


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, draw and print what was drawn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="results.json of the suite long-range")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--only", default="", help="comparisons with this in their name")
    parser.add_argument("--image", type=int, default=0, help="id of the test image")
    args = parser.parse_args(argv)
    with one_line_errors():
        lines = draw_long_range(args.results, args.out, args.only, args.image)
    print("\n".join(lines))
