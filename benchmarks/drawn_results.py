"""Drawn ground truth and detections of any number: to time and test COCO's evaluation on."""

from typing import Any

import numpy as np
from pycocotools import mask as mask_util

SIDE = 480  # of every image, pixels
NUM_KEYPOINTS = 17  # COCO's, whose sigmas the evaluation then uses


def draw_evaluation(
    num_images: int,
    detections_per_image: int,
    task: str = "bbox",
    *,
    num_categories: int = 80,
    truths_per_image: float = 7.3,
    seed: int = 0,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Draw objects of all of COCO's sizes, and detections: the objects jittered, and false ones.

    There are crowds (1 in 50), images without objects (1 in 20), and tied scores (two decimals).
    The same arguments give the same data.

    Args:
        num_images: number of images.
        detections_per_image: in every image.
        task: bbox, segm or keypoints (then of one category).
        num_categories: number of categories.
        truths_per_image: mean of a Poisson distribution; COCO's val2017 has 7.3.
        seed: of the generator.

    Returns:
        A COCO json and a list of results.
    """
    rng = np.random.default_rng(seed)
    num_categories = 1 if task == "keypoints" else num_categories
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    truth["categories"] = [{"id": k + 1, "name": f"c{k + 1}"} for k in range(num_categories)]
    results: list[dict[str, Any]] = []
    for image_id in range(1, num_images + 1):
        image = {"id": image_id, "file_name": f"{image_id}.png", "height": SIDE, "width": SIDE}
        truth["images"].append(image)
        count = rng.poisson(truths_per_image) * (rng.random() > 0.05)
        boxes, classes = _boxes(rng, count, num_categories)
        points = _points(rng, boxes)
        first = len(truth["annotations"]) + 1
        truth["annotations"] += _objects(rng, image_id, first, boxes, classes, points, task)
        results += _detections(rng, image_id, boxes, classes, points, detections_per_image, task)
    return truth, results


def _boxes(rng: np.random.Generator, count: int, categories: int) -> tuple[np.ndarray, np.ndarray]:
    sides = np.exp(rng.uniform(np.log(8), np.log(320), (count, 2)))
    corners = rng.uniform(0, 1, (count, 2)) * (SIDE - sides)
    return np.hstack([corners, sides]), rng.integers(1, categories + 1, count)


def _points(rng: np.random.Generator, boxes: np.ndarray) -> np.ndarray:
    """Keypoints in boxes (N, 4): (N, K, 3), x, y and visibility, a third of them unlabelled."""
    shape = (len(boxes), NUM_KEYPOINTS)
    places = boxes[:, None, :2] + rng.random((*shape, 2)) * boxes[:, None, 2:]
    visible = rng.choice([0, 1, 2], shape)
    visible[rng.random(len(boxes)) < 0.1] = 0  # objects to be ignored
    return np.concatenate([places, visible[..., None]], axis=2)


def _objects(
    rng: np.random.Generator,
    image_id: int,
    first_id: int,
    boxes: np.ndarray,
    classes: np.ndarray,
    points: np.ndarray,
    task: str,
) -> list[dict[str, Any]]:
    objects = []
    for number, (box, category, pose) in enumerate(zip(boxes, classes, points, strict=True)):
        one: dict[str, Any] = {"id": first_id + number, "image_id": image_id}
        one |= {"category_id": int(category), "area": float(box[2] * box[3])}
        one["iscrowd"] = int(rng.random() < 0.02)
        if task == "keypoints":
            one["num_keypoints"] = int((pose[:, 2] > 0).sum())
        objects.append(one | _shape(box, pose, task))
    return objects


def _detections(
    rng: np.random.Generator,
    image_id: int,
    boxes: np.ndarray,
    classes: np.ndarray,
    points: np.ndarray,
    count: int,
    task: str,
) -> list[dict[str, Any]]:
    """Two jittered ones of every object, as far as there is room; the others anywhere."""
    near = np.repeat(np.arange(len(boxes)), 2)[:count]
    jittered = boxes[near] + rng.normal(0, 0.08, (len(near), 4)) * boxes[near][:, [2, 3, 2, 3]]
    jittered[:, 2:] = jittered[:, 2:].clip(1)
    poses = points[near] + rng.normal(0, 4, points[near].shape)
    false, categories = _boxes(rng, count - len(near), max(int(classes.max(initial=1)), 1))
    boxes = np.vstack([jittered, false]).round(2)
    poses = np.vstack([poses, _points(rng, false)])
    categories = np.concatenate([classes[near], categories])
    right = np.arange(count) < len(near)
    scores = rng.beta(np.where(right, 4, 1), np.where(right, 2, 4)).round(2)
    return [
        {"image_id": image_id, "category_id": int(category), "score": float(score)}
        | _shape(box, pose, task)
        for box, category, score, pose in zip(boxes, categories, scores, poses, strict=True)
    ]


def _shape(box: np.ndarray, pose: np.ndarray, task: str) -> dict[str, Any]:
    shape: dict[str, Any] = {"bbox": box.tolist()}
    if task == "segm":  # an octagon
        x, y, width, height = box
        corners = [(0.3, 0), (0.7, 0), (1, 0.3), (1, 0.7), (0.7, 1), (0.3, 1), (0, 0.7), (0, 0.3)]
        outline = [float(v) for u, w in corners for v in (x + u * width, y + w * height)]
        rle = mask_util.frPyObjects([outline], SIDE, SIDE)[0]
        shape["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
    if task == "keypoints":
        shape["keypoints"] = pose.ravel().tolist()
    return shape
