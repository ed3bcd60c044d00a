"""One far cue decides: a bar's colour is the category of every shape in the image."""

import math

import numpy as np

from .draft import EVIDENCE, Draft, Scene, contrasting_grey

# BGR. Shapes are bluish or grey: nothing else in the image is red or green.
CUES = {"red": (45, 40, 215), "green": (50, 190, 45)}
CLOSE = 0.25  # of a receptive field


def grey_or_blue(rng: np.random.Generator, background: float) -> np.ndarray:
    """A colour for a shape that says nothing, as red as it is green, and differs from the ground.

    Args:
        rng: the only source of chance.
        background: its mean, 0 to 255.
    """
    level = contrasting_grey(rng, background)
    return np.array([min(255.0, level + rng.uniform(0, 90)), level, level])


def draw_beacon(draft: Draft) -> Scene:
    """A bar of the image's full height anywhere, red or green, and two to four shapes.

    A query-independent map of attention would do.

    In a picture to learn from every other shape, by chance, is near the bar. Otherwise so few of
    them tell anything to what sees only its surroundings that it learns late, or not at all, what
    the bar means: a matter of luck with seeds, which would be taken for one of reach.
    """
    rng, recipe = draft.rng, draft.recipe
    name = list(CUES)[rng.integers(2)]
    size = (recipe.bar_width, recipe.height)
    corner = draft.place(*size)
    draft.rectangle(corner, size, np.array(CUES[name]), EVIDENCE)
    items = []
    for owner in range(rng.integers(2, 5)):
        radius = draft.radius()
        near = draft.training and rng.random() < 0.5
        reach = CLOSE * recipe.receptive_field if near else math.inf
        columns = (corner[0] - reach, corner[0] + size[0] + reach)
        x, y = draft.place(2 * radius, 2 * radius, columns)
        draft.shape((x + radius, y + radius), radius, grey_or_blue(rng, draft.brightness), owner)
        items.append(draft.item(name, owner, EVIDENCE))
    return draft.finish(items)
