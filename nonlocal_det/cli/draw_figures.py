"""Draw the README's figure from the quickstart's checkpoint (`make figures`).

Example, after quickstart:
  %(prog)s --output output/overview.png
"""

from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.inference.detector import Detector, load_model_config
from nonlocal_det.inference.readme_figure import draw_overview, make_drawn_data

from .arguments import build_config_parser
from .errors import one_line_errors
from .quickstart import CONFIG


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, draw and print the picture's path."""
    parser = build_config_parser(__doc__ or "", config_file=CONFIG)
    parser.add_argument("--weights", type=Path, help="default: OUTPUT_DIR/model_final.pth")
    parser.add_argument("--output", type=Path, default=Path("docs/overview.png"))
    parser.add_argument("--images", type=int, default=2, help="rows")
    parser.add_argument("--threshold", type=float, default=0.9, help="lowest score that is shown")
    args = parser.parse_args(argv)
    with one_line_errors():
        make_drawn_data()
        detector = Detector(load_model_config(args), args.weights)
        path = draw_overview(detector, args.output, images=args.images, threshold=args.threshold)
    print(path)
