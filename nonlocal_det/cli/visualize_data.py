"""Draw what the training loader feeds the model, with its labels.

Example, after quickstart:
  %(prog)s --config-file quick/mask_keypoint_rcnn_R18 --output-dir output/drawn
"""

from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.cli.arguments import build_config_parser, config_from_arguments
from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.data import check_registered
from nonlocal_det.visualization import draw_training_images


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, draw and print the path of each picture."""
    parser = build_config_parser(__doc__ or "")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--num", type=int, default=8, help="number of pictures")
    args = parser.parse_args(argv)
    with one_line_errors():
        cfg = config_from_arguments(args)
        check_registered(cfg, cfg.DATASETS.TRAIN, (), None)
        for path in draw_training_images(cfg, args.output_dir, args.num):
            print(path)
