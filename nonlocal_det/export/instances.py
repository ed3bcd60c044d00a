"""From what an exported file gives to Detectron2's Instances, in the pixels of the picture."""

from collections.abc import Mapping

from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Boxes, Instances
from detectron2.structures.keypoints import heatmaps_to_keypoints
from torch import Tensor


def to_instances(
    outputs: Mapping[str, Tensor], seen: tuple[int, int], height: int, width: int
) -> Instances:
    """Detections as Detectron2 has them: scaled to the picture, masks pasted into it.

    Args:
        outputs: of an exported file; see `DetectionGraph`.
        seen: (height, width) of the image that the file was given.
        height: of the picture that this image was made of.
        width: likewise.

    Returns:
        ``pred_boxes``, ``scores``, ``pred_classes``, and where the file has them ``pred_masks``
        (R, height, width) bool and ``pred_keypoints`` (R, K, 3), on the CPU.
    """
    found = Instances(
        seen,
        pred_boxes=Boxes(outputs["boxes"].cpu()),
        scores=outputs["scores"].cpu(),
        pred_classes=outputs["classes"].cpu(),
    )
    if "masks" in outputs:
        found.pred_masks = outputs["masks"].cpu().unsqueeze(1)  # (R, S, S) -> (R, 1, S, S)
    if "keypoints" in outputs:
        found.pred_keypoints = outputs["keypoints"].cpu()
    elif "keypoint_heatmaps" in outputs:
        decoded = heatmaps_to_keypoints(outputs["keypoint_heatmaps"].cpu(), found.pred_boxes.tensor)
        found.pred_keypoints = decoded[:, :, [0, 1, 3]]  # x, y, score; not the logit
    return detector_postprocess(found, height, width)
