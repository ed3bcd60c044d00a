"""Turn a mask of pixels into COCO's polygons and COCO's uncompressed run lengths, exactly."""

import numpy as np

from nonlocal_det.data.opencv import import_cv2


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
    return [int(value) for value in corners[distinct].reshape(-1)]


def mask_to_counts(mask: np.ndarray) -> dict[str, list[int]]:
    """Encode a mask as COCO does its crowds: run lengths down the columns, first of zeros."""
    flat = mask.astype(np.uint8).reshape(-1, order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
    counts = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return {"counts": [int(count) for count in counts], "size": [int(side) for side in mask.shape]}
