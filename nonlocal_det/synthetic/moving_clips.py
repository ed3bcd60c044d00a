"""Draw video files whose class is a motion: no single frame tells it.

Classes come in pairs that are each other's reverse (left and right, up and down, grow and shrink),
and a pair that differs in speed. What treats time symmetrically (a C2D, with or without non-local
blocks) cannot tell a clip from its reverse: it can reach four classes of eight at best.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nonlocal_det.video.index import import_av

from .dataset_folder import make_folder

# Raise it whenever the same parameters give other pixels.
VERSION = 2

CLASSES = ("down", "fast", "grow", "left", "right", "shrink", "slow", "up")
_DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
_CONTAINERS = (("mp4", "libx264"), ("mkv", "libx264"), ("mov", "libx264"))
_RATES = (Fraction(12), Fraction(25), Fraction(30000, 1001))


def make_moving_clips(
    out: Path,
    *,
    num_train: int = 320,
    num_val: int = 80,
    size: int = 64,
    seed: int = 0,
    force: bool = False,
) -> Path:
    """Draw the data set ``out``/moving_clips: class folders of encoded files, train and val.

    Equal parameters draw equal frames (with equal versions of numpy); an encoder may differ in the
    last bits. Clip k does not depend on the number of clips. A data set of the same parameters is
    left as it is.

    Args:
        out: the folder of all data sets; made if absent.
        num_train: training clips, at least one a class.
        num_val: validation clips, at least one a class.
        size: short side in pixels, a multiple of 16; long sides are up to 1.5 times of it.
        seed: not negative.
        force: replace a data set that was made with other parameters.

    Returns:
        The folder ``out``/moving_clips.

    Raises:
        ValueError: a parameter is out of range, or the folder holds something else.
        ImportError: PyAV is not installed.
    """
    recipe = {"num_train": num_train, "num_val": num_val, "size": size, "seed": seed}
    least = {"num_train": len(CLASSES), "num_val": len(CLASSES), "size": 32, "seed": 0}
    for key, value in least.items():
        if recipe[key] < value:
            raise ValueError(f"{key}={recipe[key]}; expected at least {value}")
    if size % 16:
        raise ValueError(f"size={size}; expected a multiple of 16, the side of a codec's block")
    recipe["version"] = VERSION

    def write(made: Path) -> None:
        for split, count in (("train", num_train), ("val", num_val)):
            for index in range(count):
                rng = np.random.default_rng([seed, split == "val", index])
                name = CLASSES[index % len(CLASSES)]
                ending, codec = _CONTAINERS[index % len(_CONTAINERS)]
                path = made / split / name / f"{index:05d}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                rate = _RATES[int(rng.integers(len(_RATES)))]
                write_video(path, draw_moving_clip(name, size, rng), rate, codec)

    return make_folder(Path(out) / "moving_clips", recipe, write, "make_moving_clips", force)


def clip_records(folder: Path) -> list[dict[str, Any]]:
    """List the drawn files of a split, as a video data set's records; class k is `CLASSES` [k].

    Raises:
        FileNotFoundError: the folder is not there; says how to draw it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no {folder}; `make quickstart-video` draws it")
    return [
        {"file_name": str(path), "video_id": path.stem, "label": label}
        for label, name in enumerate(CLASSES)
        for path in sorted((folder / name).iterdir())
    ]


def draw_moving_clip(name: str, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw the frames (H, W, 3) of a clip, uint8 RGB.

    Args:
        name: one of `CLASSES`.
        size: short side in pixels.
        rng: decides all else.
    """
    sides = size, int(rng.integers(size, size * 3 // 2 + 1)) // 16 * 16
    height, width = sides if rng.random() < 0.5 else sides[::-1]
    count = int(rng.integers(16, 41))
    background = _background(height, width, rng)
    colour = rng.integers(0, 256, 3)
    colour[rng.integers(3)] = 255  # bright: seen on any background
    round_shape = bool(rng.random() < 0.5)
    radius, growth = float(rng.uniform(0.12, 0.2)) * size, 0.0
    centre, step = rng.uniform(0, 1, 2) * (height, width), np.zeros(2)
    speed = float(rng.uniform(1.5, 2.1)) * size / 64  # pixels a frame
    if name in _DIRECTIONS:
        step = speed * np.array(_DIRECTIONS[name])
    elif name in ("fast", "slow"):
        angle = rng.uniform(0, 2 * np.pi)
        step = speed * (3 if name == "fast" else 0.25) * np.array([np.sin(angle), np.cos(angle)])
    else:
        growth = size * float(rng.uniform(0.006, 0.009))
        radius = float(rng.uniform(0.08, 0.12)) * size
    times = range(count) if name != "shrink" else range(count - 1, -1, -1)
    for time in times:
        frame = background.copy()
        inside = _shape(centre + time * step, radius + time * growth, frame.shape[:2], round_shape)
        frame[inside] = colour
        noise = rng.normal(0, 4, frame.shape)
        yield np.clip(frame + noise, 0, 255).astype(np.uint8)


def _background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a dark slope of colour with four still shapes on it: float (H, W, 3)."""
    corners = rng.uniform(20, 120, (2, 2, 3))
    down = np.linspace(0, 1, height)[:, None, None]
    across = np.linspace(0, 1, width)[None, :, None]
    upper = corners[0, 0] * (1 - across) + corners[0, 1] * across
    lower = corners[1, 0] * (1 - across) + corners[1, 1] * across
    picture = upper * (1 - down) + lower * down
    for _ in range(4):
        centre = rng.uniform(0, 1, 2) * (height, width)
        radius = rng.uniform(0.05, 0.1) * min(height, width)
        picture[_shape(centre, radius, (height, width), bool(rng.random() < 0.5))] = rng.uniform(
            40, 160, 3
        )
    return picture


def _shape(
    centre: np.ndarray, radius: float, size: tuple[int, int], round_shape: bool
) -> np.ndarray:
    """Return the pixels of a disc or a square; what leaves one side comes back at the other."""
    rows, columns = (
        np.abs((np.arange(side) - middle + side / 2) % side - side / 2)
        for side, middle in zip(size, centre, strict=True)
    )
    distance = (
        np.hypot(rows[:, None], columns) if round_shape else np.maximum(rows[:, None], columns)
    )
    inside: np.ndarray = distance <= radius
    return inside


def write_video(
    path: Path, frames: Iterator[np.ndarray], rate: Fraction, codec: str = "libx264"
) -> None:
    """Encode RGB frames (H, W, 3) of even sides to a file, with PyAV and one thread.

    Raises:
        ImportError: PyAV is not installed.
    """
    av = import_av()  # an extra: only who draws or reads videos needs it
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.pix_fmt, stream.thread_count, stream.bit_rate = "yuv420p", 1, 1_000_000
        for number, frame in enumerate(frames):
            if not number:
                stream.height, stream.width = frame.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
