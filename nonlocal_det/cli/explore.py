"""Serve a local web page: click a picture, see the attention of each non-local block.

Examples, the first after quickstart:
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --images photos/ --port 8000
  %(prog)s --config-file nl_mask_rcnn_R50 --weights nl.pth --against mask_rcnn_R50=base.pth

A video model has a tab of its own: go to a frame of a video, and click.

Needs NiceGUI: pip install 'nonlocal_det[explore]'. Only this machine can reach it, unless --host.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog

from nonlocal_det.explorer import Explorer, ExplorerModel, UploadLimits, VideoModel
from nonlocal_det.inference.clip_classifier import ClipClassifier
from nonlocal_det.inference.detector import Detector, load_model_config
from nonlocal_det.inference.sources import find_files, find_images
from nonlocal_det.video.lists import SUFFIXES

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
    parser.add_argument("--videos", nargs="+", help="the same for a video model; an option next")
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
    explorer = Explorer(models, limits=limits)
    if explorer.models:
        explorer.images = tuple(find_pictures(explorer.models[0].detector, args.images))
    if explorer.video_models:
        explorer.videos = tuple(find_videos(explorer.video_models[0].classifier.cfg, args.videos))
    warn_if_public(args.host)
    serve(explorer, host=args.host, port=port, browser=args.browser)


def load_models(args: argparse.Namespace) -> list[ExplorerModel | VideoModel]:
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
    models: list[ExplorerModel | VideoModel] = []
    for config_file, weights in wanted:
        cfg = load_model_config(argparse.Namespace(**{**vars(args), "config_file": config_file}))
        name = Path(config_file).with_suffix("").name
        same = sum(model.name.split(" ")[0] == name for model in models)
        name = f"{name} ({same + 1})" if same else name
        if cfg.MODEL.META_ARCHITECTURE == "VideoClassifier":
            models.append(VideoModel(name, ClipClassifier(cfg, weights)))
        else:
            models.append(ExplorerModel(name, Detector(cfg, weights)))
    return models


def find_videos(cfg: CfgNode, inputs: Sequence[str] | None) -> list[Path]:
    """Find the videos to choose from.

    Args:
        cfg: of the model; without ``inputs``, the files of its test data are taken.
        inputs: see `find_files`; None: not given.

    Returns:
        Files; none where the test data is not there.

    Raises:
        FileNotFoundError: an input that matches no file.
    """
    if inputs:
        return find_files(inputs, SUFFIXES, "video")
    try:
        records = DatasetCatalog.get(cfg.DATASETS.TEST[0])
    except (KeyError, FileNotFoundError) as error:
        print(f"no test videos ({error}): give --videos", file=sys.stderr)
        return []
    return [Path(record["file_name"]) for record in records]


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
