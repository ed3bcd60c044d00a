"""Which frames, sizes and crops: against the rules of the paper and of two other projects."""

import random

import numpy as np
import pytest
import torch

from nonlocal_det.video.clips import (
    clip_frames,
    even_starts,
    join_views,
    random_start,
    resize_short_side,
    square_crops,
    to_clip,
    train_transform,
)


@pytest.mark.parametrize(
    ("protocol", "total", "clips", "starts"),
    [
        ("authors", 300, 10, [0, 30, 60, 90, 120, 150, 180, 210, 240, 270]),  # int(F / 10 * j)
        ("authors", 25, 10, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]),
        ("slowfast", 300, 10, [0, 23, 47, 70, 94, 118, 141, 165, 188, 212]),  # (F - L) j / 10
        ("mmaction2", 300, 10, [0, 27, 54, 81, 108, 135, 162, 189, 216, 243]),  # (F - 57) j / 9
        ("mmaction2", 300, 1, [121]),
        ("slowfast", 25, 3, [0, 0, 0]),  # shorter than a clip
        ("mmaction2", 25, 3, [0, 0, 0]),
    ],
)
def test_test_clips_start_evenly(protocol, total, clips, starts):
    assert even_starts(total, 8, 8, clips, protocol) == starts


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match="INPUT.VIDEO.CLIPS='mmaction'.*'mmaction2'"):
        even_starts(300, 8, 8, 10, "mmaction")


def test_a_clip_goes_on_at_the_beginning():
    assert clip_frames(270, 8, 8, 300) == [270, 278, 286, 294, 2, 10, 18, 26]
    assert clip_frames(0, 6, 2, 5) == [0, 2, 4, 1, 3, 0]  # a short video repeats


def test_training_clips_start_anywhere_that_fits():
    random.seed(0)
    assert {random_start(70, 64) for _ in range(200)} == {*range(7)}
    assert random_start(64, 64) == random_start(3, 64) == 0


def frames(height, width, time=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (time, height, width, 3), dtype=np.uint8)


def test_frames_become_a_clip_without_a_copy():
    pixels = frames(4, 6)
    clip = to_clip(pixels)
    assert clip.shape == (3, 3, 4, 6)
    assert torch.equal(clip[1, 2], torch.from_numpy(pixels[1, :, :, 2]))
    pixels[0, 0, 0, 0] ^= 255
    assert clip[0, 0, 0, 0] == pixels[0, 0, 0, 0]


def test_one_draw_serves_all_frames_of_a_clip():
    still = to_clip(np.repeat(frames(40, 60, 1), 5, axis=0))
    torch.manual_seed(1)
    clip = train_transform(32, 48, 32, 0.5)(still)
    assert clip.shape == (5, 3, 32, 32)
    assert clip.dtype == torch.uint8
    assert all(torch.equal(frame, clip[0]) for frame in clip)


def test_sizes_flips_and_crops_are_drawn_from_their_whole_range():
    marked = torch.zeros(1, 3, 32, 64, dtype=torch.uint8)
    marked[..., :32] = 255
    flipped, sides = set(), set()
    for seed in range(60):
        torch.manual_seed(seed)
        clip = train_transform(32, 34, 32, 0.5)(marked)
        flipped.add(bool(clip[..., 0].float().mean() < clip[..., -1].float().mean()))
        torch.manual_seed(seed)
        sides.add(train_transform(32, 34, 32, 0).transforms[0](marked).shape[2])
    assert flipped == {True, False}
    assert sides == {32, 33, 34}


def test_the_short_side_is_resized():
    assert resize_short_side(to_clip(frames(240, 320)), 60).shape[2:] == (60, 80)
    assert resize_short_side(to_clip(frames(320, 240)), 60).shape[2:] == (80, 60)


@pytest.mark.parametrize("turned", [False, True])
def test_three_crops_lie_along_the_long_side(turned):
    clip = to_clip(frames(8, 13))
    if turned:
        clip = clip.transpose(2, 3)
    crops = square_crops(clip, 3)
    assert [crop.shape[2:] for crop in crops] == [(8, 8)] * 3
    for crop, at in zip(crops, (0, 2, 4), strict=True):  # multiples of (13 - 8) // 2
        part = clip[:, :, at : at + 8] if turned else clip[..., at : at + 8]
        assert torch.equal(crop, part)
    (middle,) = square_crops(clip, 1)
    assert torch.equal(middle, crops[1])
    assert square_crops(clip, 0)[0] is clip
    square = to_clip(frames(8, 8))
    assert torch.equal(torch.stack(square_crops(square, 3)), square[None])


@pytest.mark.parametrize(
    ("size", "crops", "message"),
    [((8, 8), 4, "TEST_CROPS=4; expected 0"), ((8, 9), 2, "TEST_CROPS=2; expected 0")],
)
def test_crops_that_cannot_be_are_refused(size, crops, message):
    with pytest.raises(ValueError, match=message):
        square_crops(to_clip(frames(*size)), crops)


def test_views_are_stacked_channels_before_time():
    clips = [to_clip(frames(4, 6)), to_clip(frames(4, 6))]
    views = join_views(clips)
    assert views.shape == (2, 3, 3, 4, 6)  # (V, C, T, H, W)
    assert torch.equal(views[1, 2, 0], clips[1][0, 2])
