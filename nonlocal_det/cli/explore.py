"""From the command line to the page."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nonlocal_det.explorer.explorer import Explorer
from nonlocal_det.explorer.models import ExplorerModel
from nonlocal_det.explorer.uploads import UploadLimits
from nonlocal_det.inference.detector import Detector, load_model_config
from nonlocal_det.visualization import find_images


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
        from nonlocal_det.explorer.serve import check_port, serve, warn_of_strangers
    except ImportError as error:
        raise ImportError(
            f"{error}: the page needs NiceGUI; pip install 'nonlocal_det[explore]', or nicegui"
        ) from error
    port = check_port(args.host, args.port)
    limits = UploadLimits(int(args.max_upload_mb * 2**20), int(args.max_megapixels * 1e6))
    models = load_models(args)
    images = find_pictures(models[0].detector, args.images)
    warn_of_strangers(args.host)
    serve(Explorer(models, images, limits), host=args.host, port=port, browser=args.browser)


def load_models(args: argparse.Namespace) -> list[ExplorerModel]:
    """The model of ``--config-file`` and those of ``--against``.

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
        same = sum(one.name.split(" ")[0] == name for one in models)
        name = f"{name} ({same + 1})" if same else name
        models.append(ExplorerModel(name, Detector(cfg, weights)))
    return models


def find_pictures(detector: Detector, inputs: Sequence[str] | None) -> list[Path]:
    """The images to choose from.

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
