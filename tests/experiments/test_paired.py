import math

import pytest
from scipy import stats

from nonlocal_det.experiments.paired import paired_differences, summarize


def test_the_interval_is_students_of_a_table():
    # mean 2, std 1, n 3; the two-sided 95 % quantile for 2 degrees of freedom is 4.303 in any table
    found = summarize([1.0, 2.0, 3.0])
    assert (found.count, found.mean, found.std) == (3, 2.0, 1.0)
    half = 4.303 / math.sqrt(3)
    assert found.interval == pytest.approx((2 - half, 2 + half), abs=1e-3)


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_the_interval_is_the_one_of_scipys_test(confidence):
    values = [0.9, 1.4, -0.2, 0.7, 1.1]
    theirs = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    found = summarize(values, confidence).interval
    assert found == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_few_values_say_no_more_than_they_can():
    assert summarize([]) == summarize(())
    assert summarize([]).mean is None
    one = summarize([38.5])
    assert (one.count, one.mean, one.std, one.interval) == (1, 38.5, None, None)
    equal = summarize([1.0, 1.0])
    assert equal.std == 0
    assert equal.interval == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "confidence", "words"),
    [([1.0, math.nan], 0.95, "finite"), ([1.0], 1.0, "confidence=1.0"), ([], 0, "confidence=0")],
)
def test_what_has_no_meaning_is_refused(values, confidence, words):
    with pytest.raises(ValueError, match=words):
        summarize(values, confidence)


def test_only_seeds_of_both_are_paired():
    found = paired_differences({5: 38.0, 1: 40.0, 9: 1.0}, {1: 41.0, 5: 37.5, 7: 0.0})
    assert found == {1: 1.0, 5: -0.5}
