"""What a click on one model's picture asks of all models that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from nonlocal_det.visualization import AttentionMap

from .explorer import LookOptions, Pick, Seen
from .figures import png_of_looks


@dataclass(frozen=True)
class Answer:
    """Where the blocks of each model look from what was clicked.

    Attributes:
        pick: what was meant, on the picture that was clicked.
        title: the same in words, and the function if it is another one.
        looks: for each model a map for each of its blocks; none for a model without blocks.
        pngs: these as pictures.
    """

    pick: Pick
    title: str
    looks: list[list[AttentionMap]]
    pngs: list[list[bytes]]


def answer_click(
    shown: Sequence[Seen],
    clicked: Seen,
    point: tuple[float, float],
    threshold: float,
    options: LookOptions,
) -> Answer:
    """Ask all blocks; a joint of the clicked model is a point for the others.

    Args:
        shown: what the models have made of the same picture.
        clicked: the one that was clicked.
        point: (x, y) in pixels of the picture.
        threshold: detections with a lower score are not shown.
        options: which blocks, and how.

    Raises:
        ValueError: a block cannot be asked for another function.
    """
    pick = clicked.pick(point, threshold)
    looks = []
    for seen in shown:
        own = pick if seen is clicked else seen.pick(pick.point, threshold, snap=False)
        looks.append(seen.look(own, threshold, options))
    pngs = [
        [png_of_looks(seen.image, [one], options) for one in ours]
        for seen, ours in zip(shown, looks, strict=True)
    ]
    title = pick.title + (f", if {options.pairwise}" if options.pairwise else "")
    return Answer(pick, title, looks, pngs)
