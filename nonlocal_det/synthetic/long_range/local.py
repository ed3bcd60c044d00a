"""The twin task whose answer is near: each shape has a mark of its own beside it."""

import numpy as np

from .beacon import CUES, grey_or_blue
from .draft import EVIDENCE, Draft, Scene


def draw_local(draft: Draft) -> Scene:
    """Two to four shapes, each with a red or green mark beside it that is its category.

    The mark is outside the shape's box but well inside the receptive field, so a non-local block
    has nothing to bring.
    """
    rng, recipe = draft.rng, draft.recipe
    items = []
    for owner in range(rng.integers(2, 5)):
        name = list(CUES)[rng.integers(2)]
        radius = draft.radius()
        apart = 2 * radius + recipe.near
        x, y = draft.place(apart + recipe.bar_width, 2 * radius)
        mark_first = bool(rng.integers(2))
        mark_x = x if mark_first else x + apart
        shape_x = x + (recipe.bar_width + recipe.near if mark_first else 0)
        size = (recipe.bar_width, round(2 * radius))
        draft.rectangle((mark_x, y), size, np.array(CUES[name]), EVIDENCE + owner)
        draft.shape(
            (shape_x + radius, y + radius), radius, grey_or_blue(rng, draft.brightness), owner
        )
        items.append(draft.item(name, owner, EVIDENCE + owner))
    return draft.finish(items)
