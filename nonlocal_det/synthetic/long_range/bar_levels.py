"""Draw the levels whose shapes are told by red or green bars: beacon, pairs and local."""

import math

import numpy as np

from nonlocal_det.synthetic.canvas import Scene

from .draft import EVIDENCE, Draft, contrasting_grey

# BGR. Shapes are bluish or grey: nothing else in the image is red or green.
CUES = {"red": (45, 40, 215), "green": (50, 190, 45)}
CLOSE = 0.25  # of a receptive field
CORE = 0.4  # of a bar's width
APART = 100  # of the two colours of an image, in levels of some channel


def grey_or_blue(rng: np.random.Generator, background: float) -> np.ndarray:
    """A colour that tells nothing, as red as it is green, and differs from the ground's mean."""
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
    objects = []
    for owner in range(rng.integers(2, 5)):
        radius = draft.radius()
        near = draft.training and rng.random() < 0.5
        reach = CLOSE * recipe.receptive_field if near else math.inf
        columns = (corner[0] - reach, corner[0] + size[0] + reach)
        x, y = draft.place(2 * radius, 2 * radius, columns)
        draft.shape((x + radius, y + radius), radius, grey_or_blue(rng, draft.brightness), owner)
        objects.append(draft.object(name, owner, EVIDENCE))
    return draft.finish(objects)


def draw_pairs(draft: Draft) -> Scene:
    """A red bar and a green one with cores of two colours, and two to four shapes of these colours.

    A shape's category is the bar around the core of its colour. Both cues are in every image that
    is tested, so attention that is the same for all queries looks at neither bar more for one shape
    than for the other: where to look is another place for every query. The colours are continuous.

    The bars are objects of the two categories themselves, told by their own looks, so that what a
    cue means need not be learnt from afar. They are annotated to be learnt from; in other splits
    they are crowds, neither asked for nor wrong. Half of the images to learn from have two bars of
    one cue: to bring what is far is to be learnt before whose it is.
    """
    rng, recipe = draft.rng, draft.recipe
    names = list(rng.permutation(list(CUES)))
    if draft.training and rng.random() < 0.5:
        names[1] = names[0]
    colors = _colors(draft)
    width, height = recipe.bar_width, recipe.height
    core = round(CORE * width)
    for bar, (name, color) in enumerate(zip(names, colors, strict=True)):
        left = round(draft.place(width, height)[0])
        draft.rectangle((left, 0), (width, height), np.array(CUES[name]), EVIDENCE + bar)
        draft.rectangle((left + (width - core) // 2, 0), (core, height), color, EVIDENCE + bar)
    objects = []
    for owner in range(rng.integers(2, 5)):
        bar = owner if owner < 2 else int(rng.integers(2))  # each bar has a shape
        radius = draft.radius()
        x, y = draft.place(2 * radius, 2 * radius)
        draft.shape((x + radius, y + radius), radius, colors[bar], owner)
        objects.append(draft.object(names[bar], owner, EVIDENCE + bar))
    for owner, name in enumerate(names, EVIDENCE):
        objects.append(draft.object(name, owner, owner, is_crowd=not draft.training))
    return draft.finish(objects)


def _colors(draft: Draft) -> tuple[np.ndarray, np.ndarray]:
    """Two greys or blues that are well apart."""
    while True:
        one, other = (grey_or_blue(draft.rng, draft.brightness) for _ in range(2))
        if np.abs(one - other).max() >= APART:
            return one, other


def draw_local(draft: Draft) -> Scene:
    """Two to four shapes, each with a red or green mark beside it that is its category.

    The mark is outside the shape's box but well inside the receptive field, so a non-local block
    has nothing to bring.
    """
    rng, recipe = draft.rng, draft.recipe
    objects = []
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
        objects.append(draft.object(name, owner, EVIDENCE + owner))
    return draft.finish(objects)
