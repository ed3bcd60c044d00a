"""Every shape is told by its twin: of two bars, which are anywhere, the one with its colour."""

import numpy as np

from .beacon import CUES, grey_or_blue
from .draft import EVIDENCE, Draft, Scene

CORE = 0.4  # of a bar's width
APART = 100  # of the two colours of an image, in levels of some channel


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
    items = []
    for owner in range(rng.integers(2, 5)):
        bar = owner if owner < 2 else int(rng.integers(2))  # each bar has a shape
        radius = draft.radius()
        x, y = draft.place(2 * radius, 2 * radius)
        draft.shape((x + radius, y + radius), radius, colors[bar], owner)
        items.append(draft.item(names[bar], owner, EVIDENCE + bar))
    told = [draft.item(name, EVIDENCE + bar, EVIDENCE + bar) for bar, name in enumerate(names)]
    return draft.finish(items, evidence=told)


def _colors(draft: Draft) -> tuple[np.ndarray, np.ndarray]:
    """Two greys or blues that are well apart."""
    while True:
        one, other = (grey_or_blue(draft.rng, draft.brightness) for _ in range(2))
        if np.abs(one - other).max() >= APART:
            return one, other
