"""A canvas with the owner of each pixel, shapes and backgrounds, and what is drawn in the end."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from nonlocal_det.data.opencv import import_cv2

SUBPIXEL_BITS = 4
SHAPE_CORNERS = {"circle": 32, "square": 4, "triangle": 3, "star": 10}
# Shapes are cold, people wear warm colours (person.py), the background is nearly grey. All BGR.
COLD = ((60, 160, 40), (170, 170, 20), (210, 90, 20), (190, 40, 110), (130, 210, 60))


class BodyPart(IntEnum):
    """A body part; 0 is a shape, which has none."""

    SHAPE = 0
    HEAD = 1
    TORSO = 2
    LEFT_EAR = 3
    RIGHT_EAR = 4
    LEFT_UPPER_ARM = 5
    RIGHT_UPPER_ARM = 6
    LEFT_FOREARM = 7
    RIGHT_FOREARM = 8
    LEFT_THIGH = 9
    RIGHT_THIGH = 10
    LEFT_SHIN = 11
    RIGHT_SHIN = 12


@dataclass(frozen=True)
class SceneObject:
    """One object of a picture.

    Attributes:
        name: its category.
        mask: (H, W) bool, the visible pixels.
        keypoints: (17, 3) int x, y, v as in COCO for a person, all 0 in a crowd; else None.
        is_crowd: whether it is one to ignore, neither asked for nor wrong, as COCO's crowds.
        evidence_distance: pixels to what tells its category, of a person the mean over the limbs'
            keypoints; None where its own looks do.
        keypoint_distances: (17,) pixels of each keypoint to the evidence, or None.
    """

    name: str
    mask: np.ndarray
    keypoints: np.ndarray | None = None
    is_crowd: bool = False
    evidence_distance: float | None = None
    keypoint_distances: np.ndarray | None = None


@dataclass(frozen=True)
class Scene:
    """A picture (H, W, 3) uint8, BGR, and its objects."""

    image: np.ndarray
    objects: tuple[SceneObject, ...]


class Canvas:
    """A picture and, for each pixel, its owner.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        owner: (H, W) index of the object drawn last on the pixel, -1 for the background.
        part: (H, W) that object's `BodyPart`.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.owner: np.ndarray = np.full(image.shape[:2], -1, np.int32)
        self.part: np.ndarray = np.zeros(image.shape[:2], np.int32)

    def fill(self, polygon: np.ndarray, color: np.ndarray, owner: int, part: BodyPart) -> None:
        """Fill a polygon (n, 2), whose coordinates count from the corner of the first pixel."""
        mask = np.zeros(self.owner.shape, np.uint8)
        # OpenCV counts from the centre of the first pixel, hence the half.
        points = np.round((polygon - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)
        import_cv2().fillPoly(mask, [points], 1, shift=SUBPIXEL_BITS)
        inside = mask > 0
        self.image[inside] = np.clip(color, 0, 255)
        self.owner[inside] = owner
        self.part[inside] = part

    def fill_hull(self, points: np.ndarray, color: np.ndarray, owner: int, part: BodyPart) -> None:
        """Fill the convex hull of points (n, 2)."""
        hull = import_cv2().convexHull(points.astype(np.float32))[:, 0]
        self.fill(hull, color, owner, part)

    def with_noise(self, rng: np.random.Generator) -> np.ndarray:
        """Return the picture, blurred a little and with noise, (H, W, 3) uint8."""
        noise = rng.normal(0, 6, self.image.shape)
        blurred = import_cv2().GaussianBlur(self.image, (3, 3), 0.5)
        noisy: np.ndarray = np.clip(blurred + noise, 0, 255).astype(np.uint8)
        return noisy


def draw_shape(
    canvas: Canvas, rng: np.random.Generator, name: str, disc: np.ndarray, owner: int
) -> None:
    """Draw one of `SHAPE_CORNERS` at a random angle; disc: (x, y, radius)."""
    polygon = shape_polygon(rng, name, disc)
    color = np.array(COLD[rng.integers(len(COLD))]) + rng.integers(-20, 21, 3)
    canvas.fill(polygon, color, owner, BodyPart.SHAPE)


def shape_polygon(rng: np.random.Generator, name: str, disc: np.ndarray) -> np.ndarray:
    """Corners (n, 2) of one of `SHAPE_CORNERS`, at a random angle in a disc (x, y, radius)."""
    count = SHAPE_CORNERS[name]
    angles = rng.uniform(0, 2 * np.pi) + np.arange(count) * (2 * np.pi / count)
    radii = np.full(count, disc[2])
    if name == "star":
        radii[1::2] *= 0.45
    return disc[:2] + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def draw_background(
    rng: np.random.Generator, height: int, width: int, clutter: bool = True, tint: float = 15
) -> np.ndarray:
    """Draw a texture of two scales, with a few lines if wanted, (H, W, 3) uint8.

    It is grey up to ``tint`` levels in each channel.
    """
    cv2 = import_cv2()
    image = np.full((height, width, 3), rng.uniform(70, 180)) + rng.uniform(-tint, tint, 3)
    for cells, strength in ((4, 22), (16, 12)):
        coarse = rng.normal(0, strength, (cells, cells, 1)).astype(np.float32)
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    image = np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
    for _ in range(rng.integers(5) if clutter else 0):
        x0, x1 = (int(x) for x in rng.integers(0, width, 2))
        y0, y1 = (int(y) for y in rng.integers(0, height, 2))
        grey = int(rng.integers(40, 210))
        cv2.line(image, (x0, y0), (x1, y1), (grey, grey, grey), int(rng.integers(1, 4)))
    return image
