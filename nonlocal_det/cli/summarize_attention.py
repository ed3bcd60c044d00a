"""Summarise a model's attention over a data set: entropy, distance, mass, query independence.

Example, after quickstart:
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --output output/looks

Goes through DATASETS.TEST of the config; writes queries.csv, blocks.csv and summary.png.
"""

from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.inference.attention_summary import summarize_attention
from nonlocal_det.inference.detector import Detector, load_model_config

from .arguments import build_config_parser, names
from .errors import one_line_errors


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, run and print the blocks' numbers."""
    parser = build_config_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, help="default: OUTPUT_DIR/model_final.pth")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--images", type=int, default=100, help="at most so many")
    parser.add_argument("--threshold", type=float, default=0.5, help="lowest score of a region")
    parser.add_argument("--blocks", type=names, default=[], metavar="NAME,...", help="as res4.nl0")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table here, too")
    args = parser.parse_args(argv)
    with one_line_errors():
        detector = Detector(load_model_config(args), args.weights)
        print(
            summarize_attention(
                detector,
                args.output,
                images=args.images,
                threshold=args.threshold,
                blocks=args.blocks,
                json_path=args.json,
            )
        )
