"""Draw the mini-COCO, train a small non-local Mask + Keypoint R-CNN, evaluate, write pictures."""

import argparse

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.cli.quickstart import quickstart

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE pairs of the config")
    with one_line_errors():
        quickstart(parser.parse_args().opts)
