"""Detections as a whole COCO json: images, categories and annotations with scores."""

from typing import Any

import numpy as np
from detectron2.data import Metadata
from detectron2.structures import BoxMode, Instances
from pycocotools import mask as masks

Json = dict[str, Any]


class CocoDetections:
    """Collect detections.

    Args:
        metadata: of the data set the model was trained for; its category ids are used where it
            knows them, else 1, 2, ...
    """

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        contiguous = metadata.get("thing_dataset_id_to_contiguous_id", None) or {}
        self._ids = {index: number for number, index in contiguous.items()}
        self.images: list[Json] = []
        self.annotations: list[Json] = []
        self._classes: set[int] = set(range(len(metadata.get("thing_classes", None) or ())))

    def add(self, name: str, instances: Instances) -> None:
        """Add the detections of an image, or a video's frame; its id is its number, from 1.

        Args:
            name: of the file; of a video ``FILE#FRAME``.
            instances: on the CPU, in pixels of the image.
        """
        height, width = instances.image_size
        image_id = len(self.images) + 1
        self.images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        boxes = instances.pred_boxes.tensor.double().numpy()
        boxes = BoxMode.convert(boxes, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
        for k, index in enumerate(instances.pred_classes.tolist()):
            self._classes.add(index)
            annotation: Json = {
                "id": len(self.annotations) + 1,
                "image_id": image_id,
                "category_id": self._ids.get(index, index + 1),
                "bbox": boxes[k].tolist(),
                "area": float(boxes[k][2] * boxes[k][3]),
                "iscrowd": 0,
                "score": float(instances.scores[k]),
            }
            if instances.has("pred_masks"):
                annotation["segmentation"] = _rle(instances.pred_masks[k].numpy())
                annotation["area"] = float(masks.area(annotation["segmentation"]))
            if instances.has("pred_keypoints"):
                annotation.update(_keypoints(instances.pred_keypoints[k].double().numpy()))
            self.annotations.append(annotation)

    def as_json(self) -> Json:
        """Return ``images``, ``categories`` and ``annotations``, which have scores."""
        names = self._metadata.get("thing_classes", None) or ()
        categories: list[Json] = []
        for index in sorted(self._classes):
            name = names[index] if index < len(names) else str(index)
            category: Json = {"id": self._ids.get(index, index + 1), "name": name}
            if joints := self._metadata.get("keypoint_names", None):
                category["keypoints"] = list(joints)
            categories.append(category)
        annotations = self.annotations
        return {"images": self.images, "categories": categories, "annotations": annotations}


def _rle(mask: np.ndarray) -> Json:
    rle: Json = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {**rle, "counts": rle["counts"].decode("ascii")}


def _keypoints(joints: np.ndarray) -> Json:
    """Return COCO's pixel indices of points (K, 3): half a pixel less; every joint is visible."""
    flat = np.concatenate([joints[:, :2] - 0.5, np.full((len(joints), 1), 2.0)], axis=1)
    return {"keypoints": flat.reshape(-1).tolist(), "num_keypoints": len(joints)}
