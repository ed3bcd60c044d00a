import numpy as np
import torch
from detectron2.data import Metadata
from detectron2.structures import Boxes, BoxMode, Instances
from matplotlib.colors import to_rgb
from PIL import Image

from nonlocal_det.visualization import draw_instances, draw_predictions
from nonlocal_det.visualization.figure import LEFT, OKABE_ITO, RIGHT

GREY = np.full((64, 64, 3), 100, np.uint8)


def found(boxes, keypoints=None):
    instances = Instances((64, 64), pred_boxes=Boxes(torch.tensor(boxes).view(-1, 4)))
    instances.scores = torch.linspace(0.9, 0.8, len(boxes))
    instances.pred_classes = torch.zeros(len(boxes), dtype=torch.long)
    if keypoints is not None:
        instances.pred_keypoints = torch.tensor(keypoints)
    return instances


def count(picture, color, within=40, alpha=1.0):
    """Pixels of about a color, drawn over the grey."""
    expected = np.array(to_rgb(color)) * 255 * alpha + 100 * (1 - alpha)
    far = np.abs(picture.astype(int) - expected).sum(-1)
    return int((far < within).sum())


def test_each_instance_has_a_color_of_the_palette():
    metadata = Metadata(thing_classes=["person"])
    boxes = [[4.0, 4.0, 28.0, 28.0], [36.0, 36.0, 60.0, 60.0]]
    picture = draw_instances(GREY, found(boxes), metadata)
    assert picture.shape == (512, 512, 3)
    # Detectron2 draws boxes half transparent
    assert count(picture[:256, :256], OKABE_ITO[0], alpha=0.5) > 200
    assert count(picture[256:, 256:], OKABE_ITO[1], alpha=0.5) > 200
    assert count(picture, OKABE_ITO[2], alpha=0.5) < 20


def test_limbs_are_drawn_by_side_and_unseen_joints_left_out():
    names = ["left_hip", "left_knee", "right_hip", "right_knee"]
    rules = [("left_hip", "left_knee", (255, 0, 0)), ("right_hip", "right_knee", (0, 255, 0))]
    metadata = Metadata(keypoint_names=names, keypoint_connection_rules=rules)
    joints = [[[40.0, 10.0, 1.0], [40.0, 50.0, 1.0], [20.0, 10.0, 1.0], [20.0, 50.0, 0.0]]]
    picture = draw_instances(GREY, found([[1.0, 1.0, 62.0, 62.0]], joints), metadata)
    inside = picture[150:330, 100:380]  # without the box and the label
    assert count(inside[:, 150:], LEFT) > 100
    assert count(inside, RIGHT) < 20  # its knee is not seen
    assert count(inside, (1.0, 0.0, 0.0)) == 0  # Detectron2's own colours


def test_nothing_found_leaves_the_image():
    picture = draw_instances(GREY, found(np.zeros((0, 4), np.float32).tolist()), Metadata())
    assert np.abs(picture.astype(int) - 100).max() < 3


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_predictions_over_the_threshold_are_drawn(tmp_path):
    metadata = Metadata(thing_classes=["person"])
    box = {"bbox": [5, 5, 30, 30], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0}
    sample = GREY, {"image_id": 7, "annotations": [box]}, found([[5.0, 5.0, 35.0, 35.0]])
    shown, hidden = (
        pixels(draw_predictions([sample], metadata, tmp_path / "a.png", threshold))
        for threshold in (0.5, 0.95)
    )
    changed = np.abs(shown - hidden).sum(-1)[shown.shape[0] // 6 :]  # below the titles, which count
    _, predictions, *_ = np.split(changed[:, : changed.shape[1] // 4 * 4], 4, axis=1)
    assert (predictions > 0).sum() > 500
