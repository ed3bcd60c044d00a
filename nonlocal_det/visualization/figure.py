"""What all figures share: no display, and colours for every kind of colour blindness."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""*Source*: Okabe and Ito, Color Universal Design, 2008; its black is left out, for dark images."""

LEFT, RIGHT, MIDDLE = OKABE_ITO[0], OKABE_ITO[1], OKABE_ITO[3]
"""Limbs of a skeleton, by the side that their joints' names begin with."""

POSITIVE, NEGATIVE = OKABE_ITO[5], OKABE_ITO[1]
"""Arrows of weights above and below 0."""

HEAT, SIGNED_HEAT = "inferno", "PuOr_r"
"""matplotlib's colour maps: even steps of lightness; and one with 0 in its middle."""


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of so many inches that needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # no pyplot: no global state, no display
    return figure


def instance_colors(count: int) -> list[str]:
    """Return a colour for each of so many instances; after seven they repeat."""
    return [OKABE_ITO[k % len(OKABE_ITO)] for k in range(count)]


def limb_color(first: str, second: str) -> str:
    """Return the colour of the limb between two named joints: left, right, or between the sides."""
    for side, color in (("left", LEFT), ("right", RIGHT)):
        if first.startswith(side) and second.startswith(side):
            return color
    return MIDDLE
