r"""Write a trained model as TorchScript, ONNX or plain weights, checked before it is kept.

Examples, after quickstart; onnx needs pip install 'nonlocal_det[export]':
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --format onnx --output output/nl.onnx
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --format torchscript \
      --output output/nl.ts --images datasets/mini_coco/val2017
  %(prog)s --config-file quick/nl_mask_keypoint_rcnn_R18 --format weights \
      --output output/nl.safetensors
  %(prog)s --config-file video/quick/nl_i3d_R18 --format onnx --output output/clips.onnx

The file takes an image (3, H, W), float32 from 0 to 255, resized as INPUT.MIN_SIZE_TEST says and in
the order of channels of INPUT.FORMAT, and a threshold: detections score more. It gives boxes,
scores, classes, masks (R, 28, 28) within the boxes and keypoints (R, K, 3) as x, y, score, in the
pixels of that image; nonlocal_det.export.to_instances brings them into the picture.
Of a video model it takes clips (N, 3, T, H, W), RGB, T being INPUT.VIDEO.FRAMES, and gives scores
(N, K), probabilities; --images are video files.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nonlocal_det.export import FORMATS, Exported, export_model, find_format
from nonlocal_det.inference.clip_classifier import ClipClassifier
from nonlocal_det.inference.detector import Detector, load_model_config
from nonlocal_det.inference.sources import find_images, read_picture
from nonlocal_det.synthetic.mini_coco import MIN_SIZE
from nonlocal_det.video.mapper import VideoMapper

from .arguments import build_config_parser
from .errors import one_line_errors


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, export and say how near the file is to the model."""
    parser = build_config_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, help="default: OUTPUT_DIR/model_final.pth")
    parser.add_argument("--format", required=True, metavar="NAME", help=", ".join(FORMATS))
    parser.add_argument("--output", type=Path, required=True, help="the file")
    parser.add_argument(
        "--images", nargs="+", default=[], help="what to check with; default: drawn; an option next"
    )
    args = parser.parse_args(argv)
    with one_line_errors():
        find_format(args.format, args.output)  # before any work
        cfg = load_model_config(args)
        if "VIDEO" in cfg.MODEL:
            classifier = ClipClassifier(cfg, args.weights)
            print(export_classifier(classifier, args.format, args.output, args.images))
        else:
            detector = Detector(cfg, args.weights)
            print(export_detector(detector, args.format, args.output, args.images))


SHARES = (0.85, 1.0, 0.9, 0.8, 0.7, 0.6)
"""Sizes of the drawn pictures, as shares of ``INPUT.MIN_SIZE_TEST``: the example, and five."""


def export_detector(
    detector: Detector, format_name: str, path: Path, pictures: Sequence[str] = ()
) -> Exported:
    """Export a detector; see `export_model`.

    Args:
        detector: the model and its config.
        format_name: of `nonlocal_det.export.FORMATS`.
        path: of the file.
        pictures: image files, folders or patterns to check the file with, at least two: the first
            is the recorded example. By default six drawn ones of sizes of their own and one
            without an object.

    Raises:
        ValueError: as `export_model`.
        FileNotFoundError: a picture is not there.
    """
    find_format(format_name, path)  # before any work
    images = _read(detector, pictures) if pictures else _draw(detector)
    threshold = detector.cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST
    return export_model(detector.model, format_name, path, images, threshold, detector.names)


def export_classifier(
    classifier: ClipClassifier, format_name: str, path: Path, videos: Sequence[str] = ()
) -> Exported:
    """Export a video model; see `export_model`.

    Args:
        classifier: the model and its config.
        format_name: of `nonlocal_det.export.FORMATS`.
        path: of the file.
        videos: files to check with, at least two: the views of the first are the recorded example.
            By default drawn clips of sizes and numbers of their own.

    Raises:
        ValueError: as `export_model`.
        VideoError: a video cannot be read.
    """
    find_format(format_name, path)  # before any work
    data, device = classifier.cfg.INPUT.VIDEO, classifier.model.device
    if videos:
        mapper = VideoMapper(classifier.cfg, is_train=False)
        records = ({"file_name": one, "video_id": "", "label": 0} for one in videos)
        clips = [mapper(record)["video"] for record in records]
    else:
        clips = [
            torch.cat([_draw_clip(data.FRAMES, round(data.TEST_SIZE * share), n)] * (1 + n % 2))
            for n, share in enumerate((1.0, 1.0, 1.25, 1.5))
        ]
    names = {"thing_classes": list(classifier.classes)}
    clips = [one.float().to(device) for one in clips]
    return export_model(classifier.model, format_name, path, clips, names=names)


def _draw_clip(frames: int, size: int, seed: int) -> Tensor:
    """Draw a moving shape, as long as asked: (1, 3, T, H, W)."""
    from nonlocal_det.synthetic.moving_clips import CLASSES, draw_moving_clip

    rng = np.random.default_rng([0, seed])
    drawn = itertools.cycle(list(draw_moving_clip(CLASSES[seed % len(CLASSES)], size, rng)))
    clip = np.stack(list(itertools.islice(drawn, frames)))  # (T, H, W, 3)
    return torch.as_tensor(clip).permute(3, 0, 1, 2).unsqueeze(0)


def _read(detector: Detector, pictures: Sequence[str]) -> list[Tensor]:
    """The pictures as the model sees them: resized, float."""
    found = [read_picture(path) for path in find_images(pictures)]
    return [detector.prepare(one)["image"].float().to(detector.model.device) for one in found]


def _draw(detector: Detector) -> list[Tensor]:
    """Drawn people and shapes, one more without any, each of a size of its own."""
    from nonlocal_det.synthetic.scene import draw_scene  # draws, so it needs OpenCV

    side = detector.cfg.INPUT.MIN_SIZE_TEST
    kinds = [(share, "plain") for share in SHARES] + [(SHARES[0], "empty")]
    drawn = []
    for n, (share, kind) in enumerate(kinds):
        scene = draw_scene(np.random.default_rng([0, n]), max(MIN_SIZE, round(side * share)), kind)
        image = scene.image if detector.cfg.INPUT.FORMAT == "BGR" else scene.image[:, :, ::-1]
        drawn.append(torch.as_tensor(image.transpose(2, 0, 1).astype(np.float32)))  # (3, H, W)
    return [image.to(detector.model.device) for image in drawn]
