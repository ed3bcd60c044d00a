"""The heat is over the pixels that the weights are of."""

import numpy as np
from PIL import Image

from nonlocal_det.visualization import Look, draw_looks

HEIGHT, WIDTH = 40, 160


def heat(path, panel: int, panels: int) -> tuple[float, float]:
    """Where in a panel the heat is: x and y, 0 to 1, without the colour bar."""
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    image = image[:, : int(image.shape[1] * 0.85)]
    rows = np.array_split(image, panels)[panel]
    purple = (rows[..., 2] - rows[..., 1] > 60) & (rows[..., 0] - rows[..., 1] > 30)
    assert purple.sum() > 100
    ys, xs = np.nonzero(purple)
    return float(xs.mean() / rows.shape[1]), float(ys.mean() / rows.shape[0])


def test_weights_are_drawn_over_their_pixels(tmp_path):
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    left, region = np.zeros((1, 4)), np.zeros((2, 2))
    left[0, 0], region[1, 1] = 1, 1
    looks = [
        Look("none", None, (0, 0, 1, 1)),
        Look("left", left, (0, 0, WIDTH, HEIGHT)),
        Look("in a region", region, (0, 0, 40, HEIGHT)),  # so its last quarter is at 20..40
    ]
    path = draw_looks(image, (80, 20), looks, tmp_path / "a.png", box=(70, 10, 90, 30), reach=30)
    x, _ = heat(path, 2, 4)
    assert 0.05 < x < 0.2
    x, y = heat(path, 3, 4)
    assert 0.1 < x < 0.3
    assert y > 0.5
    empty = draw_looks(image, (80, 20), looks[:1], tmp_path / "b.png")
    pixels = np.asarray(Image.open(empty).convert("RGB")).astype(int)
    assert not ((pixels[..., 2] - pixels[..., 1] > 60) & (pixels[..., 0] > 60)).any()
