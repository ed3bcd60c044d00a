"""Time of the COCO evaluation against pycocotools', and the largest difference of their numbers.

Example: OMP_NUM_THREADS=1 python tools/benchmark_evaluation.py --task bbox
"""

import argparse

from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.evaluation import benchmark_evaluation


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description="Measure the COCO evaluation on drawn data.")
    parser.add_argument("--task", choices=("bbox", "segm", "keypoints"), default="bbox")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="in every image")
    parser.add_argument("--rounds", type=int, default=1, help="interleaved; the median counts")
    args = parser.parse_args()
    with one_line_errors():
        print(benchmark_evaluation(args.task, args.images, args.detections, args.rounds))


if __name__ == "__main__":
    main()
