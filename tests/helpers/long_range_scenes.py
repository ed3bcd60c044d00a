"""Drawn scenes for the tests, and readers that look at their pixels alone."""

from functools import lru_cache

import numpy as np

from nonlocal_det.synthetic.canvas import Scene, SceneObject
from nonlocal_det.synthetic.long_range import DATA_SETS, LEVELS, Recipe, draw_image
from nonlocal_det.synthetic.pose import JOINT

FIELD = 211
PAIRS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear")


def recipe(level: str = "beacon", **changes: object) -> Recipe:
    data = DATA_SETS[level]
    given = {
        **{"level": data.level, "num_train": 4, "num_val": 2, "num_test": 3},
        **{"height": data.height, "width": data.width, "object_size": 24},
        **{"receptive_field": FIELD, "seed": 0},
    }
    return Recipe(**{**given, **changes})


@lru_cache
def scenes(level: str, split: str, count: int) -> tuple[Scene, ...]:
    assert level in LEVELS
    return tuple(draw_image(recipe(level), split, index) for index in range(count))


def shapes(scene: Scene) -> list[SceneObject]:
    """The objects told by something else; the bars of pairs are told by themselves."""
    return [item for item in scene.objects if item.evidence_distance > 0.5]


def box(item: SceneObject) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1, the ends not in it."""
    rows, columns = np.flatnonzero(item.mask.any(1)), np.flatnonzero(item.mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def cues(image: np.ndarray) -> dict[str, np.ndarray]:
    """Where an image (H, W, 3), BGR, is clearly red or green."""
    b, g, r = np.moveaxis(image.astype(int), 2, 0)
    return {"red": r - np.maximum(g, b) > 70, "green": g - np.maximum(r, b) > 70}


def chebyshev(mask: np.ndarray, point: tuple[float, float]) -> float:
    """From (x, y) to the nearest True pixel's middle, in a loop over the pixels."""
    return min(
        max(abs(column + 0.5 - point[0]), abs(row + 0.5 - point[1]))
        for row, column in np.argwhere(mask)
    )


def read_cue(image: np.ndarray, corners: tuple[int, int, int, int]) -> tuple[str, float]:
    """The colour of the nearest cue to a box, and how far it is."""
    middle = (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2
    found = {n: chebyshev(m, middle) for n, m in cues(image).items() if m.sum() > 5}
    nearest = min(found, key=found.__getitem__)
    return nearest, found[nearest]


def bars(image: np.ndarray) -> list[tuple[str, int, int]]:
    """Each bar's cue, its first column and the one after its last."""
    found = []
    for name, mask in cues(image).items():
        columns = np.flatnonzero(mask.mean(0) > 0.9)  # only a bar is as high as the image
        sides = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
        if columns.size:
            pairs = zip(sides[::2], sides[1::2], strict=True)  # a core is between two sides
            found += [(name, left[0], right[-1] + 1) for left, right in pairs]
    return found


def read_twin(image: np.ndarray, corners: tuple[int, int, int, int]) -> tuple[str, float]:
    """The cue of the bar whose core has a box's colour, and how far that bar is."""
    x0, y0, x1, y1 = corners
    y, x, near = (y0 + y1) // 2, (x0 + x1) // 2, 3
    own = image[y - near : y + near, x - near : x + near].mean((0, 1))

    def unlike(bar: tuple[str, int, int]) -> float:
        middle = (bar[1] + bar[2]) // 2
        return float(np.abs(image[:, middle - 2 : middle + 2].mean((0, 1)) - own).max())

    name, first, last = min(bars(image), key=unlike)
    centre = (x0 + x1) / 2
    return name, max(first + 0.5 - centre, centre - last + 0.5)


def axis(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle of a figure's head, and the direction (2) to its feet; both know no left."""
    head = points[[JOINT["left_ear"], JOINT["right_ear"]]].mean(0)
    feet = points[[JOINT["left_ankle"], JOINT["right_ankle"]]].mean(0)
    return head, (feet - head) / np.linalg.norm(feet - head)


def is_orange(image: np.ndarray, point: np.ndarray) -> bool:
    """Whether a place (x, y) is rather orange than blue."""
    x, y = np.floor(point).astype(int)
    b, _, r = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].reshape(-1, 3).mean(0)
    return bool(r > b)


def read_left(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The direction (2) of a figure's left: of the elbow that has the head's colour."""
    head, down = axis(points)
    side = np.array([down[1], -down[0]])  # to the viewer's right with the head up
    elbows = points[[JOINT["left_elbow"], JOINT["right_elbow"]]]
    right, left = sorted(elbows, key=lambda elbow: float((elbow - head) @ side), reverse=True)
    colors = is_orange(image, right), is_orange(image, left)
    assert colors[0] != colors[1]
    ear = points[JOINT["left_ear"]]
    return side if colors[0] == is_orange(image, head + 0.7 * (ear - head)) else -side
