import math

import numpy as np
import pytest

from nonlocal_det.visualization import AttentionMap, describe_map, query_independence
from nonlocal_det.visualization.placement import place_over_image


def a_map(weights, position=(0, 0), real=None, image_size=(8, 8)):
    """Keys of 2 x 2 pixels; 4 x 4 of them unless said."""
    weights = np.array(weights, float)
    shape = weights.shape
    pixels = (2 * shape[0], 2 * shape[1])
    place = place_over_image(shape, shape, image_size, pixels, image_size)
    real = np.ones(shape, bool) if real is None else real
    return AttentionMap("nl", place.centre_of(position), position, weights, real, place)


def one_hot(row, column, position=(0, 0)):
    weights = np.zeros((4, 4))
    weights[row, column] = 1
    return a_map(weights, position)


EVERYWHERE = (0.0, 0.0, 8.0, 8.0)
NOWHERE = (0.0, 0.0, 0.0, 0.0)


def test_one_key_has_none_and_a_distance_by_pythagoras():
    said = describe_map(one_hot(3, 2, position=(0, 0)), NOWHERE)
    assert said["entropy_bits"] == said["entropy_share"] == 0
    assert said["distance_px"] == pytest.approx(math.hypot(2 * 2, 3 * 2))
    assert describe_map(one_hot(1, 1, position=(1, 1)), NOWHERE)["distance_px"] == 0


def test_an_even_map_has_the_largest_entropy_of_the_keys_that_exist():
    said = describe_map(a_map(np.full((4, 4), 1 / 16)), NOWHERE)
    assert (said["entropy_bits"], said["entropy_share"]) == pytest.approx((4, 1))
    real = np.zeros((4, 4), bool)
    real[:, :2] = True
    said = describe_map(a_map(real / 8, real=real), NOWHERE)
    assert (said["entropy_bits"], said["entropy_share"]) == pytest.approx((3, 1))


def test_the_mass_is_shared_out_by_place():
    weights = np.zeros((4, 4))
    weights[0, 0], weights[0, 3], weights[3, 0], weights[1, 1] = 0.5, 0.25, 0.15, 0.1
    said = describe_map(a_map(weights), (0, 0, 4, 4), [(0, 0, 2, 2), (6, 0, 8, 2)])
    places = [said[k] for k in ("own", "others", "background", "padding")]
    assert places == pytest.approx([0.6, 0.25, 0.15, 0])  # the own box first where two overlap


def test_mass_beyond_the_image_is_in_the_padding():
    weights = np.full((4, 4), 1 / 16)
    said = describe_map(a_map(weights, image_size=(8, 4)), EVERYWHERE)
    assert said["padding"] == pytest.approx(0.5)
    assert said["own"] == pytest.approx(0.5)


def test_signs_do_not_cancel_and_sums_need_not_be_one():
    weights = np.zeros((4, 4))
    weights[0, 0], weights[0, 1] = -3, 3
    said = describe_map(a_map(weights), (0, 0, 2, 2))
    assert said["own"] == said["background"] == pytest.approx(0.5)
    assert said["entropy_bits"] == pytest.approx(1)


def test_a_map_of_zeros_is_nan():
    assert all(math.isnan(v) for v in describe_map(a_map(np.zeros((4, 4))), EVERYWHERE).values())


def test_independence_is_the_mean_cosine_over_pairs():
    shared = np.random.default_rng(0).random((4, 4))
    assert query_independence([a_map(shared * k) for k in (1, 2, 0.3)]) == pytest.approx(1)
    alone = [one_hot(i, j, (i, j)) for i in range(4) for j in range(4)]
    assert query_independence(alone) == pytest.approx(0, abs=1e-12)
    rows = np.random.default_rng(1).random((5, 16))
    lengths = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows.T / np.outer(lengths, lengths)
    score = query_independence([a_map(row.reshape(4, 4)) for row in rows])
    assert score == pytest.approx((cosines.sum() - 5) / (5 * 4))


def test_independence_of_opposite_rows_is_below_zero_and_of_one_row_unknown():
    one = one_hot(0, 0)
    assert query_independence([one, a_map(-one.weights)]) == pytest.approx(-1)
    assert math.isnan(query_independence([one, a_map(np.zeros((4, 4)))]))
