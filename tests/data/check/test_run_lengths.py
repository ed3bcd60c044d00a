"""Compressed run lengths are decoded as by pycocotools."""

import numpy as np
import pycocotools.mask as mask_util
import pytest

from nonlocal_det.data.check.masks import decode_counts


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
