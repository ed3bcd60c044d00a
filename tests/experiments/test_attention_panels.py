"""The heat is over the pixels that the weights are of."""

import numpy as np
from PIL import Image

from nonlocal_det.experiments.long_range.attention import Query, draw_panels
from nonlocal_det.visualization import AttentionMap
from nonlocal_det.visualization.placement import place_in_roi, place_over_image

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


def seen(weights, box=None) -> AttentionMap:
    """A map over the image, or over a region of it."""
    keys = weights.shape
    if box is None:
        shape = (HEIGHT, WIDTH)
        place = place_over_image(keys, keys, shape, shape, shape)
    else:
        place = place_in_roi(keys, keys, box, (HEIGHT, WIDTH))
    return AttentionMap("nl", (80, 20), (0, 0), weights, np.ones(keys, bool), place)


def test_weights_are_drawn_over_their_pixels(tmp_path):
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    left, region = np.zeros((1, 4)), np.zeros((2, 2))
    left[0, 0], region[1, 1] = 1, 1
    panels = [
        ("none", None),
        ("left", seen(left)),
        ("in a region", seen(region, (0, 0, 40, HEIGHT))),  # its last quarter is at 20..40
    ]
    query = Query(tmp_path, 1, (80, 20), (70, 10, 90, 30), 1.5)
    path, empty = tmp_path / "a.png", tmp_path / "b.png"
    draw_panels(image, query, panels, path, 30)
    x, _ = heat(path, 2, 4)
    assert 0.05 < x < 0.2
    x, y = heat(path, 3, 4)
    assert 0.1 < x < 0.3
    assert y > 0.5
    draw_panels(image, query, panels[:1], empty, 30)
    pixels = np.asarray(Image.open(empty).convert("RGB")).astype(int)
    assert not ((pixels[..., 2] - pixels[..., 1] > 60) & (pixels[..., 0] > 60)).any()
