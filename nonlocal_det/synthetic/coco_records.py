"""Drawn scenes in COCO's format: exact outlines, annotations, and the images of a split."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as mask_util

from nonlocal_det.data.opencv import import_cv2

from .canvas import Scene, SceneObject

# COCO's, counted from 1.
SKELETON = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9)),
    *((8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)
LICENSES = [{"id": 1, "name": "Apache-2.0"}]
Records = list[dict[str, Any]]


def write_images(
    folder: Path, scenes: Iterable[Scene], category_ids: dict[str, int], receptive_field: int = 1
) -> tuple[Records, Records]:
    """Write the images of a split, and return COCO's records of them and of their objects.

    Args:
        folder: made here; the images are named 000000000001.png and so on.
        scenes: drawn one at a time.
        category_ids: by the names of the objects.
        receptive_field: in pixels, see `annotation_record`.
    """
    folder.mkdir()
    images: Records = []
    annotations: Records = []
    for image_id, scene in enumerate(scenes, 1):
        name = f"{image_id:012d}.png"
        height, width = scene.image.shape[:2]
        size = {"height": height, "width": width}
        images.append({"id": image_id, "file_name": name, "license": 1, **size})
        if not import_cv2().imwrite(str(folder / name), scene.image):
            raise OSError(f"cannot write {folder / name}")
        for item in scene.objects:
            ids = {"id": len(annotations) + 1, "image_id": image_id}
            ids["category_id"] = category_ids[item.name]
            annotations.append({**ids, **annotation_record(item, receptive_field)})
    return images, annotations


def annotation_record(item: SceneObject, receptive_field: int = 1) -> dict[str, Any]:
    """Describe one object as COCO does, without ids, in plain Python numbers.

    Beyond COCO, where the object has evidence: ``evidence_distance`` in pixels,
    ``evidence_receptive_fields`` in units of the backbone's theoretical receptive field, and of a
    person ``keypoint_evidence_distances`` in pixels.
    """
    runs = mask_util.encode(np.asfortranarray(item.mask, np.uint8))
    record: dict[str, Any] = {
        "iscrowd": int(item.is_crowd),
        "area": int(mask_util.area(runs)),
        "bbox": [int(value) for value in mask_util.toBbox(runs)],
        "segmentation": (mask_to_counts if item.is_crowd else mask_to_polygons)(item.mask),
    }
    if item.evidence_distance is not None:
        record["evidence_distance"] = round(item.evidence_distance, 2)
        record["evidence_receptive_fields"] = round(item.evidence_distance / receptive_field, 4)
    if item.keypoints is not None:
        record["num_keypoints"] = int((item.keypoints[:, 2] > 0).sum())
        record["keypoints"] = item.keypoints.reshape(-1).tolist()
    if item.keypoint_distances is not None:
        distances = item.keypoint_distances.tolist()
        record["keypoint_evidence_distances"] = [round(distance, 2) for distance in distances]
    return record


def mask_to_polygons(mask: np.ndarray) -> list[list[int]]:
    """Outline a mask along its pixels' edges.

    COCO's polygons have no holes, so a mask with a hole is first cut through it in two parts.

    Args:
        mask: (H, W) bool.

    Returns:
        Polygons [x0, y0, x1, y1, ...]; decoded by pycocotools they give this very mask.
    """
    cv2 = import_cv2()
    # Twice as large, each pixel has its own left and right column, so that a contour point
    # (the index of a pixel) tells on which side of it the edge lies.
    large = np.kron(mask.astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, hierarchy = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    for contour, (_, _, _, parent) in zip(contours, hierarchy[0] if contours else (), strict=True):
        if parent >= 0:
            left, _, width, _ = cv2.boundingRect(contour)
            cut = (left + width // 2 + 1) // 2  # a column inside the hole
            parts = mask.copy(), mask.copy()
            parts[0][:, cut:] = False
            parts[1][:, :cut] = False
            return mask_to_polygons(parts[0]) + mask_to_polygons(parts[1])
    return [_edges(contour[:, 0]) for contour in contours]


def _edges(points: np.ndarray) -> list[int]:
    """Corners on the pixel grid from contour points (n, 2) of the doubled mask."""
    corners = (points + 1) // 2  # sub-pixel 2x lies on the edge x, 2x + 1 on the edge x + 1
    distinct = np.any(corners != np.roll(corners, 1, axis=0), axis=1)
    polygon: list[int] = corners[distinct].reshape(-1).tolist()
    return polygon


def mask_to_counts(mask: np.ndarray) -> dict[str, list[int]]:
    """Encode a mask as COCO does its crowds: run lengths down the columns, first of zeros."""
    flat = mask.astype(np.uint8).reshape(-1, order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=0))
    counts = np.diff(changes, prepend=0, append=flat.size)
    return {"counts": counts.tolist(), "size": list(mask.shape)}
