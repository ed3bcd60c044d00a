"""Where a block attends in a clip: exact rows, the keys that a query sees, and their numbers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import reference
import torch
from detectron2.modeling import build_model
from matplotlib.patches import ConnectionPatch
from small_video import config
from torch import nn

from nonlocal_det.layers import PAIRWISE, NonLocalBlock
from nonlocal_det.visualization import (
    CLIP_STATISTICS,
    clip_attention_figure,
    clip_attention_frames,
    describe_map,
    query_independence,
    record_attention,
)
from nonlocal_det.visualization.placement import place_over_image

CLIP = (5, 3, 4)  # T, H, W; a window of 2 leaves a step over
SEES = {
    ("spacetime", 0): lambda i, j: True,
    ("space", 0): lambda i, j: i[0] == j[0],
    ("time", 0): lambda i, j: i[1:] == j[1:],
    ("spacetime", 2): lambda i, j: i[0] // 2 == j[0] // 2,
    ("time", 2): lambda i, j: i[1:] == j[1:] and i[0] // 2 == j[0] // 2,
}


def record(block, x):
    with record_attention(block) as maps, torch.no_grad():
        block(x)
    return maps


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("subsample", ["none", "after"])
@pytest.mark.parametrize(("over", "window"), SEES)
def test_recorded_rows_of_a_clip_are_the_equations(over, window, subsample, pairwise):
    subsample = "none" if over == "time" else subsample
    block = NonLocalBlock(
        4, over=over, window=window, subsample=subsample, pairwise=pairwise, ndim=3
    ).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.7)
    x = torch.randn(1, 4, *CLIP, dtype=torch.float64)
    maps, weights = record(block, x), dict(block.named_parameters())
    theta, phi, _ = reference.embed(weights, x[0], pairwise, subsample)
    for i in ((0, 0, 0), (1, 2, 3), (4, 1, 2)):
        attention = maps.at("", (i[2] + 0.5, i[1] + 0.5, i[0]))
        assert attention.position == i
        expected, visible = np.zeros(phi.shape[1:]), np.zeros(phi.shape[1:], bool)
        rows = reference.row(
            weights, theta, phi, i, pairwise, block.scale_factor, SEES[over, window]
        )
        for j, weight in rows.items():
            expected[j], visible[j] = weight.detach(), True
        np.testing.assert_allclose(attention.weights, expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(attention.visible, visible)


def test_the_numbers_of_a_query_are_by_hand():
    maps = record(NonLocalBlock(4, subsample="none", ndim=3), torch.randn(1, 4, *CLIP))
    attention = maps.at("", (2.5, 1.5, 2))
    attention.weights[:] = 0
    attention.weights[2, 1, 0] = 0.5  # in its frame, 2 pixels to the left
    attention.weights[4, 1, 2] = 0.25  # at its place, two frames on
    attention.weights[1, 1, 3] = 0.25  # elsewhere: a frame back, a pixel to the right
    numbers = describe_map(attention)
    assert tuple(numbers) == CLIP_STATISTICS
    expected = (1.5, 1.5 / math.log2(60), 0.5 * 2 + 0.25, 0.25 * 2 + 0.25, 0.5, 0.25, 0.25)
    assert tuple(numbers.values()) == pytest.approx(expected)
    np.testing.assert_allclose(attention.over_time, [0, 0.25, 0.5, 0, 0.25])
    assert attention.strongest(1) == [((0.5, 1.5, 2.5), 0.5)]
    attention.weights[:] = 0
    assert all(math.isnan(value) for value in describe_map(attention).values())


def even(over):
    """A block whose keys all have the same weight."""
    block = NonLocalBlock(4, over=over, subsample="none", ndim=3)
    for layer in (block.theta, block.phi):
        nn.init.zeros_(layer.weight)
    return record(block, torch.randn(1, 4, *CLIP))


def test_a_block_over_time_has_no_other_place_and_one_over_space_no_other_frame():
    point = (1.5, 1.5, 2)
    over_time, over_space = (describe_map(even(over).at("", point)) for over in ("time", "space"))
    assert over_time["distance_px"] == over_time["spacetime"] == 0
    assert over_time["entropy_share"] == pytest.approx(1)  # of the five keys that it can see
    assert over_space["space"] == pytest.approx(1)
    assert over_space["distance_frames"] == 0


@pytest.mark.parametrize("over", ["spacetime", "space", "time"])
def test_queries_of_different_groups_are_not_compared(over):
    maps = even(over)
    grid = maps.at_grid("")
    assert len(grid) == math.prod(CLIP)
    assert query_independence(grid) == pytest.approx(1)
    few = maps.at_grid("", most=12)
    assert {one.position[0] for one in few} == {0, 2, 4}
    assert len(few) == 3 * 2 * 2


def test_a_video_model_is_recorded_in_pixels_and_frames_of_its_views():
    torch.manual_seed(0)
    options = ["MODEL.NONLOCAL.AFTER_BLOCKS", [[], [0], [], []], "MODEL.NONLOCAL.NORM", "BN"]
    model = build_model(config(*options)).eval()
    block, inputs = model.backbone.res3.nl0, []
    block.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    views = torch.randint(0, 256, (2, 3, 4, 32, 64), dtype=torch.uint8)
    with record_attention(model) as maps, torch.no_grad():
        model([{"video": views, "height": 64, "width": 128}])
    assert maps.image_sizes == ((4, 64, 128),) * 2
    attention = maps.at("res3.nl0", (127, 20.0, 3), image=1)
    assert attention.position == (1, 1, 7)  # 2 frames, and 8 pixels doubled, a cell
    expected = block.attention(inputs[0][1:], (1, 1, 7))[0].detach()
    np.testing.assert_allclose(attention.weights, expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"frame 4 is outside of the clip, which has 4 frames"):
        maps.at("res3.nl0", (0, 0, 4))
    with record_attention(model) as maps, torch.no_grad():
        model([{"video": views}, {"video": views}])  # one after the other: which one is meant?
    with pytest.raises(ValueError, match="has not run"):
        maps.at("res3.nl0", (0, 0, 0))


def a_query(over="spacetime", window=0, steps=4):
    """A query in step 1 of a clip of two frames a step, 16 x 24 pixels, keys of 8 pixels."""
    block = NonLocalBlock(4, over=over, window=window, subsample="none", ndim=3)
    maps = record(block, torch.randn(1, 4, steps, 2, 3))
    placement = place_over_image((steps, 2, 3), (steps, 2, 3), *[(2 * steps, 16, 24)] * 3)
    return replace(maps.at("", (1.5, 0.5, 1)), placement=placement, query=(12.0, 4.0, 2))


def pictures(figure):
    """The panels that show a frame."""
    return [axis for axis in figure.axes if axis.images]


def test_every_time_step_is_a_column_with_the_frame_of_the_query_in_its_own():
    frames = np.arange(8, dtype=np.uint8)[:, None, None, None].repeat(3, 3) * np.ones(
        (16, 24, 1), np.uint8
    )
    figure = clip_attention_figure(frames, a_query(), [f"{k} s" for k in range(8)])
    panels = pictures(figure)
    assert [axis.get_title() for axis in panels[:4]] == ["1 s", "2 s", "5 s", "7 s"]
    assert [int(axis.images[0].get_array().max()) for axis in panels] == [1, 2, 5, 7] * 2
    (marked, again) = [axis for axis in panels if axis.lines]
    assert (marked.get_title(), again) == ("2 s", panels[5])
    many = pictures(clip_attention_figure(np.zeros((40, 4, 6, 3), np.uint8), a_query(steps=20)))
    assert len({round(axis.get_position().y0, 3) for axis in many}) == 6  # three lines, twice


def test_arrows_end_in_the_frames_and_at_the_centres_of_the_strongest_keys():
    attention = a_query()
    attention.weights[:] = 0
    attention.weights[3, 1, 2], attention.weights[0, 0, 1] = 0.7, 0.3
    figure = clip_attention_figure(np.zeros((8, 16, 24, 3), np.uint8), attention)
    panels, arrows = pictures(figure), [a for a in figure.artists if isinstance(a, ConnectionPatch)]
    ends = [(panels.index(arrow.axesB), arrow.xy2, arrow.get_linewidth()) for arrow in arrows]
    assert ends == [(4 + 0, (12, 4), pytest.approx(0.3 + 3.7 * 3 / 7)), (4 + 3, (20, 12), 4.0)]
    assert {(panels.index(arrow.axesA), arrow.xy1) for arrow in arrows} == {(5, (12, 4))}


@pytest.mark.parametrize(("over", "window", "seen"), [("space", 0, 6), ("time", 2, 2)])
def test_keys_that_the_query_cannot_attend_to_are_grey(over, window, seen):
    figure = clip_attention_figure(np.zeros((8, 16, 24, 3), np.uint8), a_query(over, window))
    heat, grey = zip(*[axis.collections for axis in pictures(figure)[:4]], strict=True)
    assert sum(np.count_nonzero(mesh.get_alpha()) for mesh in heat) == seen
    assert sum(np.count_nonzero(mesh.get_alpha() == 0) for mesh in grey) == seen
    words = [text.get_text() for text in figure.axes[-1].texts]
    assert words.count("not seen") == (3 if over == "space" else 2)


def test_a_film_has_a_picture_of_even_sides_for_each_frame():
    frames = np.zeros((8, 16, 24, 3), np.uint8)
    drawn = list(clip_attention_frames(frames, a_query(), [f"{k} s" for k in range(8)]))
    assert len(drawn) == 8
    assert len({picture.shape for picture in drawn}) == 1
    assert not any(side % 2 for side in drawn[0].shape[:2])
    assert not np.array_equal(drawn[0], drawn[1])  # their times
