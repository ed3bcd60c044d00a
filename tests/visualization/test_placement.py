import numpy as np
import pytest

from nonlocal_det.visualization import AttentionMap
from nonlocal_det.visualization.placement import place_in_roi, place_over_image


def test_a_map_of_stride_16_over_an_image_that_was_enlarged_and_padded():
    # 100 x 60 pixels were enlarged 4 times and padded to multiples of 32: 26 x 16 positions
    place = place_over_image((16, 26), (8, 13), (240, 400), (256, 416), (60, 100))
    assert place.position_of((0, 0)) == (0, 0)
    assert place.position_of((99.9, 59.9)) == (14, 24)  # 399 / 16 and 239 / 16
    assert place.centre_of((1, 2)) == (2.5 * 16 / 4, 1.5 * 16 / 4)
    ys, xs = place.key_centres()
    assert xs[0] == 16 / 4  # the middle of two positions
    assert ys[-1] == (7 * 32 / 4 + 60) / 2  # the last key is half in the padding: y 56 to 60
    assert xs[-1] == (12 * 32 / 4 + 100) / 2


def test_strides_are_exact_without_padding_to_a_multiple():
    place = place_over_image((7, 7), (4, 4), (100, 100), (100, 100), (100, 100))
    assert place.cell == (16, 16)  # ceil(100 / 16) = 7, and not 100 / 7
    edges, _ = place.key_edges()
    np.testing.assert_array_equal(edges, [0, 32, 64, 96, 112])  # the odd end is one cell wide


def test_a_region_is_divided_into_its_cells():
    place = place_in_roi((14, 14), (7, 7), (10.0, 20.0, 38.0, 48.0), (60, 80))
    assert place.position_of((10.5, 47.9)) == (13, 0)
    assert place.position_of((38.0, 20.0)) == (0, 13)  # on the border: the last cell
    assert place.key_centres()[1][0] == 12.0
    with pytest.raises(ValueError, match=r"point \(70, 30\) is outside of the region x 10.0..38.0"):
        place.position_of((70.0, 30.0))


@pytest.mark.parametrize("point", [(-1, 5), (80, 5), (5, -0.1), (5, 60)])
def test_a_point_outside_of_the_image_is_refused(point):
    place = place_over_image((4, 5), (2, 3), (60, 80), (64, 96), (60, 80))
    with pytest.raises(ValueError, match="outside of the image, which is 80 x 60"):
        place.position_of(point)


def test_a_clip_has_frames_before_rows_and_columns():
    place = place_over_image((4, 6, 8), (4, 3, 4), (32, 96, 128), (32, 96, 128), (32, 48, 64))
    assert place.position_of((63.9, 0.0, 31)) == (3, 0, 7)  # 8 frames, and 16 pixels halved, a cell
    assert place.centre_of((1, 0, 2)) == (2.5 * 8, 0.5 * 8, 1.5 * 8)
    assert place.key_of((3, 5, 2)) == (3, 2, 1)
    assert [axis[-1] for axis in place.key_centres()] == [28, 40, 56]
    with pytest.raises(ValueError, match=r"frame 32 is outside of the clip, .* 32 frames; .*0..31"):
        place.position_of((0.0, 0.0, 32))
    with pytest.raises(ValueError, match=r"expected \(x, y, frame\)"):
        place.position_of((0.0, 0.0))


def a_map(weights, image_size=(8, 8), signed=False):
    weights = np.array(weights, float)
    place = place_over_image((4, 4), weights.shape, (8, 8), (8, 8), image_size)
    real = np.ones(weights.shape, bool)
    return AttentionMap("res4.nl0", (1.0, 1.0), (0, 0), weights, real, place, signed)


def test_every_pixel_has_the_weight_of_its_key():
    image = a_map([[0.1, 0.2], [0.3, 0.4]]).to_image()
    np.testing.assert_allclose(image[:4, :4], 0.1)
    np.testing.assert_allclose(image[:4, 4:], 0.2)
    np.testing.assert_allclose(image[4:, :4], 0.3)
    np.testing.assert_allclose(image[4:, 4:], 0.4)


def test_a_smooth_map_is_linear_between_the_centres():
    image = a_map([[0.0, 0.8], [0.0, 0.8]]).to_image(smooth=True)
    np.testing.assert_allclose(image[3], [0, 0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.8])  # centres 2 and 6


def test_the_strongest_are_by_size_whatever_the_sign():
    seen = a_map([[0.1, -0.5], [0.0, 0.3]], signed=True)
    assert seen.strongest(4) == [((6.0, 2.0), -0.5), ((6.0, 6.0), 0.3), ((2.0, 2.0), 0.1)]
    np.testing.assert_allclose(seen.shares, [[1 / 9, 5 / 9], [0, 3 / 9]])
    with pytest.raises(ValueError, match="count=0"):
        seen.strongest(0)
