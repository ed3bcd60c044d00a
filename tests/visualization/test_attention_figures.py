import numpy as np
import pytest
from matplotlib.figure import Figure

from nonlocal_det.visualization import AttentionMap, attention_figure, draw_attention, paint_arrows
from nonlocal_det.visualization.placement import place_in_roi, place_over_image


def a_map(weights, query=(4.0, 4.0), signed=False, roi=None):
    weights = np.array(weights, float)
    place = place_over_image(weights.shape, weights.shape, (64, 64), (64, 64), (64, 64))
    if roi:
        place = place_in_roi(weights.shape, weights.shape, roi, (64, 64))
    real = np.ones(weights.shape, bool)
    return AttentionMap("backbone.res4.nl0", query, (0, 0), weights, real, place, signed)


def spots(*weighted):
    weights = np.zeros((4, 4))
    for (row, column), weight in weighted:
        weights[row, column] = weight
    return weights


BLACK = np.zeros((64, 64, 3), np.uint8)


def colors_at(seen, *points):
    """The drawn RGB at points of the image in a heat map."""
    figure = attention_figure(BLACK, [[seen]], styles=["heat"])
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    pixels = figure.axes[0].transData.transform(points).astype(int)
    return [picture[picture.shape[0] - 1 - y, x] for x, y in pixels]


def arrows(seen, top_k=20):
    axis = Figure().subplots()
    paint_arrows(axis, BLACK, seen, top_k)
    return [(text.xy, text.arrow_patch) for text in axis.texts]


def test_arrows_lead_to_the_strongest_and_are_thicker_where_it_weighs_more():
    seen = a_map(spots(((0, 3), 0.6), ((3, 3), 0.3), ((3, 0), 0.1), ((1, 1), 0.001)))
    assert len(arrows(seen)) == 3
    drawn = arrows(seen, top_k=2)
    assert [xy for xy, _ in drawn] == [(56.0, 56.0), (56.0, 8.0)]  # the strongest is drawn last
    widths = [patch.get_linewidth() for _, patch in drawn]
    assert widths == pytest.approx([0.3 + 3.7 / 2, 4.0])


def test_weights_below_zero_have_arrows_of_their_own():
    drawn = arrows(a_map(spots(((0, 3), -0.6), ((3, 3), 0.3)), signed=True))
    (_, positive), (_, negative) = drawn
    assert negative.get_linestyle() != positive.get_linestyle()
    assert negative.get_edgecolor() != positive.get_edgecolor()


@pytest.mark.parametrize("corner", [0, 3])
def test_heat_is_where_the_weight_is(corner):
    first, last = colors_at(a_map(spots(((corner, corner), 1.0)), (30.0, 4.0)), (8, 8), (56, 56))
    bright, dark = (first, last) if corner == 0 else (last, first)
    assert bright.sum() > dark.sum() + 200


def test_heat_of_signed_weights_has_two_colors():
    weights = spots(((0, 3), -1.0), ((3, 3), 1.0))
    below, above = colors_at(a_map(weights, signed=True), (56, 8), (56, 56))
    assert below[2] > below[0] + 10  # purple
    assert above[0] > above[2] + 10  # orange


def test_blocks_are_side_by_side_and_queries_below_each_other():
    seen = a_map(spots(((0, 3), 1.0)), query=(30.0, 30.0), roi=(16.0, 16.0, 48.0, 48.0))
    figure = attention_figure(BLACK, [[seen] * 4] * 2, titles=["left_wrist", "nose"])
    assert len(figure.axes) == 2 * 2 * 4
    rows = {round(axis.get_subplotspec().rowspan.start) for axis in figure.axes}
    assert rows == {0, 1, 2, 3}
    assert figure.axes[0].get_title() == "left_wrist, res4.nl0"
    low, high = figure.axes[0].get_xlim()
    assert 10 < low < 16  # the region and a little around it
    assert 48 < high < 54


def test_figures_are_written(tmp_path):
    path = draw_attention(BLACK, [[a_map(spots(((0, 3), 1.0)))]], tmp_path / "a.png")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_what_cannot_be_drawn_is_refused():
    seen = a_map(spots())
    with pytest.raises(ValueError, match="style='fire'; expected one of heat, arrows"):
        attention_figure(BLACK, [[seen]], styles=["fire"])
    with pytest.raises(ValueError, match="at least one query"):
        attention_figure(BLACK, [])
    with pytest.raises(ValueError, match="64 x 32 pixels, but .* of 64 x 64"):
        attention_figure(BLACK[:32], [[seen]])
