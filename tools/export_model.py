"""A trained model as TorchScript, ONNX, torch.export or plain weights, checked before it is kept.

Examples:
    export_model.py --config-file quick/nl_mask_keypoint_rcnn_R18 --format onnx --output model.onnx
    export_model.py --config-file nl_mask_rcnn_R50 --format torchscript --output nl.ts --images a/

The file takes an image (3, H, W), float32 from 0 to 255, resized as INPUT.MIN_SIZE_TEST says and in
the order of channels of INPUT.FORMAT, and a threshold: detections score more. It gives boxes,
scores, classes, masks (R, 28, 28) within the boxes and keypoints (R, K, 3) as x, y, score, in the
pixels of that image; nonlocal_det.export.to_instances brings them into the picture.
"""

from pathlib import Path

from nonlocal_det.cli.arguments import build_config_parser
from nonlocal_det.cli.errors import one_line_errors
from nonlocal_det.cli.export import export_detector
from nonlocal_det.export import FORMATS, find_format
from nonlocal_det.inference.detector import Detector, load_model_config


def main() -> None:
    """Parse the command line, export and say how near the file is to the model."""
    parser = build_config_parser(__doc__ or "")
    parser.add_argument("--weights", type=Path, help="default: OUTPUT_DIR/model_final.pth")
    parser.add_argument("--format", required=True, metavar="NAME", help=", ".join(FORMATS))
    parser.add_argument("--output", type=Path, required=True, help="the file")
    parser.add_argument(
        "--images", nargs="+", default=[], help="what to check with; default: drawn; an option next"
    )
    args = parser.parse_args()
    with one_line_errors():
        find_format(args.format, args.output)  # before any work
        detector = Detector(load_model_config(args), args.weights)
        print(export_detector(detector, args.format, args.output, args.images))


if __name__ == "__main__":
    main()
