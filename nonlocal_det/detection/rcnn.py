"""Detectron2's GeneralizedRCNN, telling the backbone's blocks where the batch's padding is."""

from typing import Any

from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN
from detectron2.structures import ImageList

from nonlocal_det.layers import Padding, set_padding
from nonlocal_det.layers.padding import forgotten_padding


@META_ARCH_REGISTRY.register()
class NonLocalGeneralizedRCNN(GeneralizedRCNN):
    """GeneralizedRCNN whose non-local blocks do not attend to the padding of a batch.

    Detectron2 pads the images of a batch to one size; without this an image's result would depend
    on its batch mates through the blocks. Parameters and names are GeneralizedRCNN's.
    """

    def preprocess_image(self, batched_inputs: list[dict[str, Any]]) -> ImageList:
        """Normalize, pad and batch the images; from here on their true sizes are known."""
        images = super().preprocess_image(batched_inputs)
        sizes = [tuple(int(side) for side in size) for size in images.image_sizes]
        height, width = images.tensor.shape[-2:]
        set_padding(self.backbone, Padding(sizes, (int(height), int(width))))
        return images

    def forward(self, batched_inputs: list[dict[str, Any]]) -> Any:
        """Losses in training, detections in inference; see Detectron2."""
        with forgotten_padding(self.backbone):
            return super().forward(batched_inputs)

    def inference(self, *args: Any, **kwargs: Any) -> Any:
        """Detections; also called by test-time augmentation. See Detectron2."""
        with forgotten_padding(self.backbone):
            return super().inference(*args, **kwargs)
