"""Drawn clips: really encoded, the same every time, and told by motion only."""

import numpy as np
import pytest

from nonlocal_det.synthetic.moving_clips import CLASSES, draw_moving_clip, make_moving_clips
from nonlocal_det.video.decoding import read_frames, video_index


def drawn(name, seed=0):
    return np.stack([*draw_moving_clip(name, 64, np.random.default_rng(seed))])


def test_files_of_each_class_are_written_and_decode(tmp_path):
    made = make_moving_clips(tmp_path, num_train=8, num_val=8, size=32)
    for split in ("train", "val"):
        assert sorted(path.name for path in (made / split).iterdir()) == list(CLASSES)
    files = sorted(made.rglob("*.[ma]*"))
    sizes = {video_index(path).size for path in files if path.suffix != ".json"}
    assert len(sizes) > 1
    again = make_moving_clips(tmp_path / "again", num_train=8, num_val=8, size=32)
    for path in files:
        if path.suffix != ".json":
            other = again / path.relative_to(made)
            ours, theirs = (read_frames(p, [0, 9]).astype(int) for p in (path, other))
            assert np.abs(ours - theirs).max() <= 16  # an encoder may differ in its last bits


@pytest.mark.parametrize(("one", "other"), [("left", "right"), ("up", "down"), ("fast", "slow")])
def test_a_pair_differs_in_its_motion_only(one, other):
    clips = drawn(one, seed=3), drawn(other, seed=3)
    assert clips[0].shape == clips[1].shape
    assert np.array_equal(clips[0][0], clips[1][0])  # the same picture to begin with
    assert all(
        (np.abs(a.astype(int) - b) > 60).any() for a, b in zip(*(c[3:] for c in clips), strict=True)
    )


def test_equal_seeds_draw_equal_frames():
    assert np.array_equal(drawn("grow"), drawn("grow"))
    assert not np.array_equal(drawn("grow")[0], drawn("grow", seed=1)[0][:64, :64])


def test_what_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(ValueError, match="num_val=3; expected at least 8"):
        make_moving_clips(tmp_path, num_val=3)
