import json

import numpy as np
import torch
from detectron2.data import Metadata
from detectron2.structures import Boxes, BoxMode, Instances
from PIL import Image

from nonlocal_det.visualization import draw_losses, draw_predictions, read_metrics


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def sample(score: float):
    image = np.full((48, 64, 3), 128, np.uint8)
    annotation = {"bbox": [5, 5, 30, 30], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0}
    record = {"image_id": 7, "annotations": [annotation]}
    found = Instances((48, 64), pred_boxes=Boxes(torch.tensor([[5.0, 5.0, 35.0, 35.0]])))
    found.scores, found.pred_classes = torch.tensor([score]), torch.tensor([0])
    return image, record, found


def test_predictions_over_the_threshold_are_drawn(tmp_path):
    metadata = Metadata(thing_classes=["person"])
    shown = pixels(draw_predictions([sample(0.9)], metadata, tmp_path / "a.png"))
    hidden = pixels(draw_predictions([sample(0.1)], metadata, tmp_path / "b.png"))
    changed = np.abs(shown - hidden).sum(-1)[shown.shape[0] // 6 :]  # below the titles, which count
    _, predictions, *_ = np.split(changed[:, : changed.shape[1] // 4 * 4], 4, axis=1)
    assert (predictions > 0).sum() > 500


def test_losses_of_the_last_run_are_read_and_drawn(tmp_path):
    rows = [{"iteration": i, "total_loss": 9.0 - i, "loss_cls": 1.0} for i in (0, 20, 40)]
    second = [{"iteration": i, "total_loss": 5.0, "loss_cls": 1.0} for i in (0, 20)]
    path = tmp_path / "metrics.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows + second))
    assert read_metrics(path) == second
    resumed = [*rows[:2], {"iteration": 40, "total_loss": 3.0}]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, resumed[-1]]))
    assert read_metrics(path) == resumed
    drawn = pixels(draw_losses(resumed, tmp_path / "losses.png"))
    total = np.abs(drawn - [0x1F, 0x77, 0xB4]).sum(-1) < 6  # matplotlib's first colour
    assert total[:, : drawn.shape[1] // 2].sum() > 200  # the line itself, not the legend
