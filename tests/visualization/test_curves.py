"""The lines are where the numbers are: read back from the pixels."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from nonlocal_det.visualization import Curve, draw_accuracy, draw_losses, read_metrics
from nonlocal_det.visualization.curves import STYLES

DISTANCES = np.array([0.2, 0.6, 1.2])


def height_of(path, style: int) -> float:
    """Mean height of an arm's colour left of the legend's words, 0 at the bottom, 1 on top."""
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    image = image[: int(image.shape[0] * 0.8)]  # without the legend
    color = np.array(to_rgb(STYLES[style][0])) * 255
    rows = np.flatnonzero((np.abs(image - color).sum(-1) < 20).sum(1) > 60)
    assert len(rows)
    return float(1 - rows.mean() / len(image))


def curve(*levels: float, style: int) -> Curve:
    return Curve("an arm", DISTANCES, [np.full(3, level) for level in levels], style)


def test_an_arm_is_its_mean_over_seeds_in_its_own_color(tmp_path):
    high, low = curve(0.7, 0.9, style=3), curve(0.5, 0.3, style=1)
    path = draw_accuracy([high, low], tmp_path / "a.png", chance=0.5, reach=0.6)
    alone = draw_accuracy([curve(0.8, style=3)], tmp_path / "b.png", chance=0.5, reach=0.6)
    assert height_of(path, 3) == pytest.approx(height_of(alone, 3), abs=0.03)
    assert height_of(path, 1) < height_of(path, 3) - 0.3


def test_an_empty_bin_is_no_point(tmp_path):
    seeds = [np.array([0.8, np.nan, 0.8]), np.array([0.8, np.nan, np.nan])]
    path = draw_accuracy(
        [Curve("an arm", DISTANCES, seeds, 3)], tmp_path / "a.png", chance=0.5, reach=None
    )
    alone = draw_accuracy([curve(0.8, style=3)], tmp_path / "b.png", chance=0.5)
    assert height_of(path, 3) == pytest.approx(height_of(alone, 3), abs=0.01)


def test_losses_of_the_last_run_are_read_and_drawn(tmp_path):
    rows = [{"iteration": i, "total_loss": 9.0 - i, "loss_cls": 1.0} for i in (0, 20, 40)]
    second = [{"iteration": i, "total_loss": 5.0, "loss_cls": 1.0} for i in (0, 20)]
    path = tmp_path / "metrics.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows + second))
    assert read_metrics(path) == second
    resumed = [*rows[:2], {"iteration": 40, "total_loss": 3.0}]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, resumed[-1]]))
    assert read_metrics(path) == resumed
    evaluated = [{"iteration": 24, "bbox/AP": 3.0}, {"iteration": 41, "bbox/AP": 4.0}]
    written = [resumed[0], resumed[2], *evaluated]  # an evaluation is written with the next losses
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *written]))
    assert read_metrics(path) == [resumed[0], evaluated[0], resumed[2], evaluated[1]]
    picture = Image.open(draw_losses(resumed, tmp_path / "losses.png")).convert("RGB")
    drawn = np.asarray(picture).astype(int)
    total = np.abs(drawn - [0x1F, 0x77, 0xB4]).sum(-1) < 6  # matplotlib's first colour
    assert total[:, : drawn.shape[1] // 2].sum() > 200  # the line itself, not the legend
