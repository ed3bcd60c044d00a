"""A local web page: click a picture, and see where each non-local block looks from there.

Examples:
    explore.py --config-file quick/nl_mask_keypoint_rcnn_R18
    explore.py --config-file quick/nl_mask_keypoint_rcnn_R18 --images photos/ --port 8000
    explore.py --config-file nl_mask_rcnn_R50 --weights nl.pth --against mask_rcnn_R50=base.pth

Needs NiceGUI: pip install 'nonlocal_det[explore]'. Only this machine can reach it, unless --host.
"""

import argparse
from pathlib import Path

from nonlocal_det.cli.arguments import build_config_parser
from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.cli.explore import run_explorer


def build_parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = build_config_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, help="default: OUTPUT_DIR/model_final.pth")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="CONFIG[=WEIGHTS]",
        help="another model, shown beside it; repeatable",
    )
    parser.add_argument(
        "--images", nargs="+", help="files, folders, patterns; default: the model's test images"
    )
    page = parser.add_argument_group("the page")
    page.add_argument("--host", default="127.0.0.1", help="default: %(default)s, this machine")
    page.add_argument("--port", type=int, default=8080, help="default: %(default)s; 0: a free one")
    page.add_argument("--browser", action="store_true", help="open one")
    page.add_argument("--max-upload-mb", type=float, default=16, help="default: %(default)s")
    page.add_argument("--max-megapixels", type=float, default=25, help="default: %(default)s")
    return parser


def main() -> None:
    """Parse the command line and serve."""
    args = build_parser().parse_args()
    with one_line_errors():
        run_explorer(args)


if __name__ == "__main__":
    main()
