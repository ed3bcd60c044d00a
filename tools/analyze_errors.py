"""Where the AP is lost: by size, by number of objects in the image, by kind of error.

Example: python tools/analyze_errors.py datasets/coco/annotations/person_keypoints_val2017.json \
    output/nl/inference/coco_instances_results.json --task keypoints \
    --against output/baseline/inference/coco_instances_results.json
"""

import argparse
from pathlib import Path

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.evaluation import analyze_files


def main() -> None:
    """Parse the command line, analyze and print."""
    parser = argparse.ArgumentParser(description="Break down COCO results, one or two of them.")
    parser.add_argument("annotations", type=Path, help="COCO annotation file")
    parser.add_argument("results", type=Path, help="as inference/coco_instances_results.json")
    parser.add_argument("--task", choices=("bbox", "segm", "keypoints"), default="bbox")
    parser.add_argument("--against", type=Path, help="other results, shown beside with differences")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    with one_line_errors():
        text = analyze_files(args.annotations, args.results, args.task, args.against, args.json)
    print(text)


if __name__ == "__main__":
    main()
