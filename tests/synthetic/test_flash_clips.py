"""Flash clips: what no sum over frames can tell, what both events tell, and the gap recorded."""

import csv
import math
from collections import Counter

import numpy as np
import pytest
from scipy.optimize import minimize

from nonlocal_det.synthetic.flash_clips import (
    COLOURS,
    FRAMES,
    LEVELS,
    SPLITS,
    clip_records,
    draw_flashes,
    draw_frames,
    make_flash_clips,
)
from nonlocal_det.video.decoding import read_frames

LN2 = math.log(2)


def flashes(level, count=2000):
    return [draw_flashes(level, index, np.random.default_rng([7, index])) for index in range(count)]


def averaged(clips):
    """Perfect features of each frame, one for each colour, averaged over the frames; and a bias."""
    counts = [[clip.colours.count(k) / FRAMES for k in range(len(COLOURS))] for clip in clips]
    return np.c_[counts, np.ones(len(clips))], np.array([clip.label for clip in clips])


def log_loss(weights, x, y):
    return np.logaddexp(0, np.where(y, -1, 1) * (x @ weights)).mean()


@pytest.mark.parametrize("level", LEVELS)
def test_a_linear_reader_of_averaged_perfect_features_is_at_chance(level):
    x, y = averaged(flashes(level))
    fit = minimize(log_loss, np.zeros(x.shape[1]), args=(100 * x, y))
    assert fit.fun == pytest.approx(LN2, abs=2e-3)  # 5 weights fitted to 2000 clips
    # and no weights are better, however large: it is a bound, not a failure to learn
    for weights in np.random.default_rng(0).normal(0, 3, (200, x.shape[1])):
        assert log_loss(weights, 100 * x, y) > LN2 - 2e-2


@pytest.mark.parametrize("level", LEVELS)
def test_a_reader_of_both_events_is_perfect(level):
    meaning = {}
    for clip in flashes(level):
        meaning.setdefault(clip.colours, set()).add(clip.label)
        assert clip.gap in LEVELS[level].gaps
        assert 0 <= clip.frames[0] < clip.frames[1] < FRAMES
    assert all(len(labels) == 1 for labels in meaning.values())


@pytest.mark.parametrize("level", ["match", "match4", "near"])
def test_one_event_tells_nothing(level):
    for which in (0, 1):
        counts = Counter((c.colours[which], c.label) for c in flashes(level, 8000))
        for colour in range(LEVELS[level].colours):
            assert counts[colour, 0] / counts[colour, 1] == pytest.approx(1, abs=0.12)


def test_every_gap_has_both_classes_equally_often():
    counts = Counter((clip.gap, clip.label) for clip in flashes("match", 1000))
    assert set(counts.values()) == {100}


def test_files_show_the_flashes_that_the_list_records(tmp_path):
    made = make_flash_clips(tmp_path, "match4", counts=dict.fromkeys(SPLITS, 12))
    records = clip_records(made, "test")
    with (made / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [record["gap"] for record in records] == [int(row["gap"]) for row in rows]
    for record, row in zip(records, rows, strict=True):
        frames = read_frames(record["file_name"], range(FRAMES)).astype(float)
        nearest = {}
        for time, frame in enumerate(frames):
            for name, colour in COLOURS.items():
                if (np.abs(frame - colour).max(axis=2) < 40).sum() >= 20:  # chroma is halved
                    nearest[time] = name
        assert list(nearest.values()) == [row["first"], row["second"]]
        first, second = nearest
        assert second - first == record["gap"]
        assert record["label"] == (row["first"] == row["second"])


def test_equal_seeds_draw_equal_frames():
    clip = flashes("near", 1)[0]
    one, two, other = (
        np.stack([*draw_frames(clip, np.random.default_rng(seed))]) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("far", {}, "level='far'; expected one of match, match4, near, order"),
        ("near", {"counts": {"val": 0}}, "val=0; expected at least 1"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        make_flash_clips(tmp_path, name, **options)
