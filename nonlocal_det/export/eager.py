"""What Detectron2's own inference finds, in the form of an exported file's outputs."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import Instances
from torch import Tensor


def eager_outputs(model: GeneralizedRCNN, image: Tensor, threshold: float) -> dict[str, Tensor]:
    """Detect in one image, by the model itself.

    Args:
        model: a GeneralizedRCNN in evaluation mode.
        image: (3, H, W), 0 to 255.
        threshold: detections score more than this.

    Returns:
        As `DetectionGraph` gives it, on the CPU; both ``keypoints`` and ``keypoint_heatmaps``.
    """
    with torch.no_grad(), _scoring_over(model, threshold):
        (found,) = model.inference([{"image": image}], do_postprocess=False)
    return {name: value.cpu() for name, value in _named(found).items()}


def _named(found: Instances) -> dict[str, Tensor]:
    named = {
        "boxes": found.pred_boxes.tensor,
        "scores": found.scores,
        "classes": found.pred_classes,
    }
    if found.has("pred_masks"):
        named["masks"] = found.pred_masks.squeeze(1)  # (R, 1, S, S) -> (R, S, S)
    if found.has("pred_keypoints"):
        named["keypoints"] = found.pred_keypoints
        named["keypoint_heatmaps"] = found.pred_keypoint_heatmaps
    return named


@contextmanager
def _scoring_over(model: GeneralizedRCNN, threshold: float) -> Iterator[None]:
    predictor = model.roi_heads.box_predictor
    before = predictor.test_score_thresh
    predictor.test_score_thresh = threshold
    try:
        yield
    finally:
        predictor.test_score_thresh = before
