r"""Detect in pictures, a video or a camera; draw the attention of the blocks.

Examples, the first three after quickstart:
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --input datasets/mini_coco/val2017
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --attention keypoints \
      --joints left_wrist,nose --input 'datasets/mini_coco/val2017/*1.png' --output output/joints
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --attention 60,60 \
      --input 'datasets/mini_coco/val2017/*1.png' --styles arrows --output output/point
  %(prog)s --config-file nl_mask_rcnn_R50 --weights model.pth --video walk.mp4
  %(prog)s --config-file nl_mask_rcnn_R50 --weights model.pth --webcam 0 --threshold 0.7

Needs no display. Writes NAME.png (of a video NAME.mp4), NAME_attention.png and predictions.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.inference.attention_queries import parse_query
from nonlocal_det.inference.demo import DemoOptions, run_demo, run_video
from nonlocal_det.inference.detector import Detector, load_model_config
from nonlocal_det.visualization import STYLES

from .arguments import build_config_parser, names
from .errors import one_line_errors


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = build_config_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, help="default: OUTPUT_DIR/model_final.pth")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", nargs="+", help="images, folders, patterns; an option next")
    source.add_argument("--video", help="a video file")
    source.add_argument(
        "--webcam", type=int, nargs="?", const=0, metavar="N", help="camera N, or 0"
    )
    parser.add_argument("--output", type=Path, default=Path("output/demo"), help="folder")
    parser.add_argument("--threshold", type=float, default=0.5, help="lowest score that is shown")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--max-frames", type=int, default=0, help="of a video or camera; 0: all")
    look = parser.add_argument_group("where blocks look")
    look.add_argument("--attention", metavar="X,Y|instances|keypoints", help="from where")
    look.add_argument("--blocks", type=names, default=[], metavar="NAME,...", help="as res4.nl0")
    look.add_argument("--joints", type=names, default=[], metavar="NAME,...", help="or the best 3")
    look.add_argument("--instances", type=int, default=3, help="at most so many of an image")
    look.add_argument("--styles", type=names, default=STYLES, help=",".join(STYLES))
    look.add_argument("--top-k", type=int, default=20, help="arrows of a query")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, run and print what was written."""
    args = build_parser().parse_args(argv)
    with one_line_errors():
        query = None
        if args.attention:
            query = parse_query(args.attention, args.blocks, args.joints, args.instances)
        options = DemoOptions(
            out=args.output,
            threshold=args.threshold,
            batch_size=args.batch_size,
            query=query,
            styles=tuple(args.styles),
            top_k=args.top_k,
            max_frames=args.max_frames,
        )
        detector = Detector(load_model_config(args), args.weights)
        if args.input:
            result = run_demo(detector, args.input, options)
        else:
            result = run_video(detector, args.video or args.webcam, options)
    print(f"{result}: {args.output}")
