"""Serve a local web page: click a picture, see the attention of each non-local block.

Examples, the first after quickstart:
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --images photos/ --port 8000
  %(prog)s --config-file nl_mask_rcnn_R50 --weights nl.pth --against mask_rcnn_R50=base.pth

Needs NiceGUI: pip install 'nonlocal_det[explore]'. Only this machine can reach it, unless --host.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.explorer import Explorer, ExplorerModel, UploadLimits
from nonlocal_det.inference.detector import Detector, load_model_config
from nonlocal_det.inference.sources import find_images

from .arguments import build_config_parser
from .errors import one_line_errors


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
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


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    args = build_parser().parse_args(argv)
    with one_line_errors():
        run_explorer(args)


def run_explorer(args: argparse.Namespace) -> None:
    """Load the models and serve the page until Ctrl-C.

    Args:
        args: of ``tools/explore.py``.

    Raises:
        ImportError: NiceGUI is not installed.
        FileNotFoundError: a config, weights or images that are not there.
        ValueError: weights of another model, or a port that is taken.
    """
    try:
        from nonlocal_det.explorer.serve import check_port, serve, warn_if_public
    except ImportError as error:
        raise ImportError(
            f"{error}: the page needs NiceGUI; pip install 'nonlocal_det[explore]', or nicegui"
        ) from error
    port = check_port(args.host, args.port)
    limits = UploadLimits(int(args.max_upload_mb * 2**20), int(args.max_megapixels * 1e6))
    models = load_models(args)
    images = find_pictures(models[0].detector, args.images)
    warn_if_public(args.host)
    serve(Explorer(models, images, limits), host=args.host, port=port, browser=args.browser)


def load_models(args: argparse.Namespace) -> list[ExplorerModel]:
    """Load the model of ``--config-file`` and those of ``--against``.

    Args:
        args: with ``config_file``, ``weights``, ``against`` (``CONFIG`` or ``CONFIG=WEIGHTS``),
            ``coco_data`` and ``opts``, which hold for all of them.

    Raises:
        FileNotFoundError: no such config or weights.
        ValueError: weights of another model.
    """
    wanted: list[tuple[str, Path | None]] = [(args.config_file, args.weights)]
    for text in args.against:
        config_file, _, weights = text.partition("=")
        wanted.append((config_file, Path(weights) if weights else None))
    models: list[ExplorerModel] = []
    for config_file, weights in wanted:
        cfg = load_model_config(argparse.Namespace(**{**vars(args), "config_file": config_file}))
        name = Path(config_file).with_suffix("").name
        same = sum(model.name.split(" ")[0] == name for model in models)
        name = f"{name} ({same + 1})" if same else name
        models.append(ExplorerModel(name, Detector(cfg, weights)))
    return models


def find_pictures(detector: Detector, inputs: Sequence[str] | None) -> list[Path]:
    """Find the images to choose from.

    Args:
        detector: the model; without ``inputs``, the images of its test data are taken.
        inputs: see `find_images`; None: not given.

    Returns:
        Files; none where the test data is not there: one can still upload.

    Raises:
        FileNotFoundError: an input that matches no file.
    """
    if inputs:
        return find_images(inputs)
    folder = detector.metadata.get("image_root", None)
    if folder and Path(folder).is_dir():
        return find_images([str(folder)])
    print(f"no images in {folder}: upload some, or give --images", file=sys.stderr)
    return []
