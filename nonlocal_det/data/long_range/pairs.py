"""Every shape is told by its twin: the bar of the same colour, which is elsewhere for each."""

import colorsys

import numpy as np

from .draft import EVIDENCE, Draft, Scene

CORES = {"white": 240, "black": 15}


def draw_pairs(draft: Draft) -> Scene:
    """Two or three shapes and as many bars; a bar's core is the category of its colour's shape.

    Both cores are in every image, so no map of attention that is the same for all queries can tell
    which is whose. Colours are continuous, so that a summary of the image cannot list them.
    """
    rng, recipe = draft.rng, draft.recipe
    count = int(rng.integers(2, 4))
    names = _mixed(rng, count)
    colors = [_color(hue) for hue in _hues(rng, count)]
    width, height = recipe.bar_width, recipe.height
    for k, (name, color) in enumerate(zip(names, colors, strict=True)):
        x, _ = draft.place(width, height)
        x, core = round(x), round(width / 3)
        draft.rectangle((x, 0), (width, height), color, EVIDENCE + k)
        middle = np.full(3, CORES[name])
        draft.rectangle((x + (width - core) // 2, 0), (core, height), middle, EVIDENCE + k)
    items = []
    for owner, (name, color) in enumerate(zip(names, colors, strict=True)):
        radius = draft.radius()
        x, y = draft.place(2 * radius, 2 * radius)
        draft.shape((x + radius, y + radius), radius, color, owner)
        items.append(draft.item(name, owner, EVIDENCE + owner))
    return draft.finish(items)


def _mixed(rng: np.random.Generator, count: int) -> list[str]:
    """Random names, not all the same."""
    while True:
        names = [list(CORES)[k] for k in rng.integers(2, size=count)]
        if len(set(names)) > 1:
            return names


def _hues(rng: np.random.Generator, count: int) -> np.ndarray:
    """Hues in 0..1 that are well apart, anywhere on the circle, in random order."""
    jitter = rng.uniform(-0.08, 0.08, count)
    return rng.permutation((rng.uniform() + np.arange(count) / count + jitter) % 1)


def _color(hue: float) -> np.ndarray:
    """A saturated colour, BGR in 0..255."""
    return np.array(colorsys.hsv_to_rgb(hue, 0.9, 0.85)[::-1]) * 255
