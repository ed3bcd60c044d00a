"""TorchScript by compiling the model's source, which Detectron2 prepares some of its models for."""

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import Boxes
from torch import Tensor, nn

from nonlocal_det.layers import InsertedBlock

FIELDS = {
    "proposal_boxes": Boxes,
    "objectness_logits": Tensor,
    "pred_boxes": Boxes,
    "scores": Tensor,
    "pred_classes": Tensor,
    "pred_masks": Tensor,
    "pred_keypoints": Tensor,
    "pred_keypoint_heatmaps": Tensor,
}
"""What the compiled Instances hold."""


class ScriptedDetector(nn.Module):
    """A detector's inference as `torch.jit.script` takes it; see `DetectionGraph`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, threshold: Tensor) -> list[Tensor]:
        """Detect in one image; the config's own threshold is the least."""
        inputs = [{"image": image}]
        instances = self.model.inference(inputs, do_postprocess=False)  # type: ignore[operator]
        fields = instances[0].get_fields()
        kept = (fields["scores"] > threshold).nonzero().squeeze(1)
        found = [fields["pred_boxes"][kept], fields["scores"][kept], fields["pred_classes"][kept]]
        if "pred_masks" in fields:
            found.append(fields["pred_masks"][kept].squeeze(1))  # (R, 1, S, S) -> (R, S, S)
        if "pred_keypoints" in fields:
            found.append(fields["pred_keypoints"][kept])
        return found


def script(model: nn.Module) -> torch.jit.ScriptModule:
    """Compile a detector.

    Raises:
        ValueError: a part that cannot be compiled: which, and why; no `detectron2.export`.
    """
    check_scriptable(model)
    try:  # not at the top: the 0.6 release imports caffe2 and onnx with this package
        from detectron2.export.torchscript import scripting_with_instances
    except ImportError as error:
        raise ValueError(
            f"scripted: detectron2.export cannot be imported here ({error}); export as torchscript"
        ) from error
    return scripting_with_instances(ScriptedDetector(model).eval(), FIELDS)


def check_scriptable(model: nn.Module) -> None:
    """Refuse what torch.jit.script cannot compile, before it says so in pages.

    Raises:
        ValueError: the model has non-local blocks.
    """
    blocks = [name for name, one in model.named_modules() if isinstance(one, InsertedBlock)]
    if blocks or type(model) is not GeneralizedRCNN:
        raise ValueError(
            f"scripted: torch.jit.script cannot compile {(blocks or [type(model).__name__])[0]}, "
            "whose pooling and kernel are chosen from tables of functions; export as torchscript, "
            "which records the model and takes images of every size too"
        )
