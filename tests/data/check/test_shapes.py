"""Polygons and run lengths, against pycocotools and brute force."""

import numpy as np
import pycocotools.mask as mask_util
import pytest

from nonlocal_det.data.check.polygons import _areas, crosses_itself
from nonlocal_det.data.check.run_lengths import decode_counts


def test_compressed_counts_are_decoded_as_pycocotools_does() -> None:
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.98):
        mask = np.asfortranarray(rng.random((37, 53)) < share).astype(np.uint8)
        flat = mask.reshape(-1, order="F")
        changes = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
        expected = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
        assert decode_counts(mask_util.encode(mask)["counts"].decode()) == expected


@pytest.mark.parametrize("text", ["\x00", "~", "o"])  # below, above, and a number that goes on
def test_text_that_is_no_counts_is_refused(text: str) -> None:
    assert decode_counts(text) is None


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[0, 0], [4, 0], [4, 4], [0, 4]], False),
        ([[0, 0], [4, 4], [4, 0], [0, 4]], True),  # a bow tie
        ([[0, 0], [4, 0], [2, 0], [2, 3]], False),  # there and back again
        ([[0, 0], [6, 0], [6, 6], [3, -2], [0, 6]], True),
        ([[0, 0], [6, 0], [6, 6], [3, 1], [0, 6]], False),  # concave
        ([[0, 0], [4, 0], [4, 4], [0, 0], [-4, 4], [-4, 0]], False),  # touches at a corner
    ],
)
def test_crossings_are_found(points: list[list[float]], expected: bool) -> None:
    assert crosses_itself(points) is expected
    assert crosses_itself(points[::-1]) is expected
    assert crosses_itself(np.roll(points, 1, axis=0)) is expected


def test_areas_of_polygons_in_one_array() -> None:
    square = [[1000, 1000], [1004, 1000], [1004, 1003], [1000, 1003]]
    triangle = [[0, 0], [0, 2], [5, 0]]
    points = np.array(square + triangle, float)
    areas = _areas(points, np.array([0, 4]), np.array([4, 3]))
    assert areas.tolist() == [12.0, 5.0]
