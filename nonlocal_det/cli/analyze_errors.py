"""``tools/analyze_errors.py``: where the AP of one results file is lost, or of two."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.evaluation import analyze_files

from .errors import one_line_errors

EXAMPLES = """
Examples, the first after quickstart:
  %(prog)s datasets/mini_coco/annotations/person_keypoints_val2017.json \\
      output/quick/nl_mask_keypoint_rcnn_R18/inference/coco_instances_results.json
  %(prog)s datasets/coco/annotations/person_keypoints_val2017.json \\
      output/nl/inference/coco_instances_results.json --task keypoints \\
      --against output/baseline/inference/coco_instances_results.json
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, analyse and print."""
    parser = argparse.ArgumentParser(
        description="Break COCO results down by size, by objects in the image, by kind of error.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("annotations", type=Path, help="COCO annotation file")
    parser.add_argument("results", type=Path, help="as inference/coco_instances_results.json")
    parser.add_argument("--task", choices=("bbox", "segm", "keypoints"), default="bbox")
    parser.add_argument("--against", type=Path, help="other results, shown beside with differences")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument(
        "--max-dets", type=int, default=0, metavar="N", help="counted per image; default: COCO's"
    )
    args = parser.parse_args(argv)
    with one_line_errors():
        text = analyze_files(
            args.annotations, args.results, args.task, args.against, args.json, args.max_dets
        )
    print(text)
