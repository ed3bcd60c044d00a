"""Draw video files whose class is the relation of two flashes that are frames apart.

Two coloured squares flash at one place for a frame each, a gap apart; the rest is noise and moving
grey shapes. A network whose features reach less than the gap and are averaged over time has a logit
that is a sum of one term for each flash. Over equal pairs and over different pairs that sum has the
same mean, so its expected log-loss is at least ln 2, whatever it has learnt (Jensen's inequality).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .dataset_folder import make_folder
from .moving_clips import write_video

# Raise it whenever the same parameters give other pixels.
VERSION = 1

FRAMES = 16
SIDE = 32
SQUARE = 8
COLOURS = {
    "red": (225, 40, 40),
    "green": (40, 200, 60),
    "blue": (50, 80, 240),
    "yellow": (225, 215, 50),
}
SPLITS = ("train", "val", "test")
COUNTS = {"train": 4000, "val": 400, "test": 1000}


@dataclass(frozen=True)
class Level:
    """What is asked of a pair of flashes.

    Attributes:
        classes: names of class 0 and class 1.
        gaps: frames from the first flash to the second; each as often as the others.
        colours: how many of `COLOURS` there are.
    """

    classes: tuple[str, str]
    gaps: tuple[int, ...]
    colours: int = 2


MATCH = ("different", "same")
FAR = (2, 5, 8, 11, 14)
LEVELS = {
    "match": Level(MATCH, FAR),
    "match4": Level(MATCH, FAR, colours=4),
    "near": Level(MATCH, (1,)),
    "order": Level(("green_first", "red_first"), FAR),
}
"""``match``: of one colour or not, far apart; ``match4``: of four colours; ``near``: in
neighbouring frames; ``order``: which of two colours came first."""


@dataclass(frozen=True)
class Clip:
    """The two flashes of a clip: its class, the frames of both, and their colours by number."""

    label: int
    frames: tuple[int, int]
    colours: tuple[int, int]

    @property
    def gap(self) -> int:
        """Frames from the first flash to the second."""
        return self.frames[1] - self.frames[0]


def make_flash_clips(
    out: Path,
    name: str,
    *,
    counts: dict[str, int] | None = None,
    seed: int = 0,
    force: bool = False,
) -> Path:
    """Draw the data set ``out``/flash_clips/``name``: encoded files and a csv for each split.

    Equal parameters draw equal frames (with equal versions of numpy); an encoder may differ in the
    last bits. Clip k does not depend on the number of clips. A data set of the same parameters is
    left as it is.

    Args:
        out: the folder of all data sets; made if absent.
        name: one of `LEVELS`.
        counts: clips of each of `SPLITS`; by default `COUNTS`.
        seed: not negative.
        force: replace a data set that was made with other parameters.

    Returns:
        The folder ``out``/flash_clips/``name``.

    Raises:
        ValueError: a parameter is out of range, or the folder holds something else.
        ImportError: PyAV is not installed.
    """
    if name not in LEVELS:
        raise ValueError(f"level={name!r}; expected one of {', '.join(LEVELS)}")
    counts = COUNTS | (counts or {})
    for key, value in {**counts, "seed": seed + 1}.items():
        if value < 1:
            raise ValueError(f"{key}={value}; expected at least 1 clip, and a seed of at least 0")
    recipe = {"level": name, **counts, "seed": seed, "version": VERSION}

    def write(made: Path) -> None:
        for number, split in enumerate(SPLITS):
            (made / split).mkdir()
            with (made / f"{split}.csv").open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(("file", "label", "gap", "first", "second"))
                for index in range(counts[split]):
                    rng = np.random.default_rng([seed, [*LEVELS].index(name), number, index])
                    clip = draw_flashes(name, index, rng)
                    path = made / split / f"{index:05d}.mp4"
                    write_video(path, draw_frames(clip, rng), Fraction(12), "mpeg4")  # reads fast
                    colours = (list(COLOURS)[k] for k in clip.colours)
                    rows.writerow((path.name, clip.label, clip.gap, *colours))

    return make_folder(Path(out) / "flash_clips" / name, recipe, write, "make_flash_clips", force)


def clip_records(folder: Path, split: str) -> list[dict[str, Any]]:
    """List the drawn clips of a split, as a video data set's records with their ``gap``.

    Raises:
        FileNotFoundError: the list is not there.
    """
    with (folder / f"{split}.csv").open(newline="") as file:
        return [
            {
                "file_name": str(folder / split / row["file"]),
                "video_id": f"{split}/{row['file']}",
                "label": int(row["label"]),
                "gap": int(row["gap"]),
            }
            for row in csv.DictReader(file)
        ]


def draw_flashes(name: str, index: int, rng: np.random.Generator) -> Clip:
    """Draw when clip ``index`` of a level flashes, and in which colours.

    Each gap has both classes equally often, and each colour is as frequent in one class as in the
    other, at the first flash and at the second.
    """
    level = LEVELS[name]
    label, gap = index % 2, level.gaps[index // 2 % len(level.gaps)]
    start = int(rng.integers(FRAMES - gap))
    if name == "order":
        colours = (1 - label, label)  # red is 0
    else:
        first = int(rng.integers(level.colours))
        shift = 0 if label else int(rng.integers(1, level.colours))
        colours = (first, (first + shift) % level.colours)
    return Clip(label, (start, start + gap), colours)


def draw_frames(clip: Clip, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw the frames (H, W, 3) of a clip, uint8 RGB."""
    y, x = rng.integers(0, SIDE - SQUARE + 1, 2)
    grey = rng.uniform(70, 110)
    places, steps = rng.uniform(0, SIDE, (3, 2)), rng.uniform(-1.5, 1.5, (3, 2))
    shades, sides = rng.uniform(120, 190, 3), rng.integers(4, 8, 3)
    shown = dict(zip(clip.frames, clip.colours, strict=True))
    for time in range(FRAMES):
        frame = np.full((SIDE, SIDE, 3), grey)
        for place, step, shade, side in zip(places, steps, shades, sides, strict=True):
            rows, columns = (int(v) % (SIDE - side) + np.arange(side) for v in place + time * step)
            frame[np.ix_(rows, columns)] = shade
        if time in shown:
            frame[y : y + SQUARE, x : x + SQUARE] = list(COLOURS.values())[shown[time]]
        noise = rng.normal(0, 4, frame.shape)
        yield np.clip(frame + noise, 0, 255).astype(np.uint8)
