import math

import pandas as pd
import pytest

from nonlocal_det.experiments.results import paired_difference, summarize


def test_the_interval_is_students_of_a_table():
    # mean 2, std 1, n 3; the two-sided 95 % quantile for 2 degrees of freedom is 4.303 in any table
    found = summarize(pd.Series([1.0, 2.0, 3.0]))
    assert (found["count"], found["mean"], found["std"]) == (3, 2.0, 1.0)
    half = 4.303 / math.sqrt(3)
    assert found["interval"] == pytest.approx((2 - half, 2 + half), abs=1e-3)


def test_few_values_say_no_more_than_they_can():
    empty = {"count": 0, "mean": None, "std": None, "interval": None}
    assert summarize(pd.Series([], dtype=float)) == empty
    assert summarize(pd.Series([38.5])) == {**empty, "count": 1, "mean": 38.5}
    equal = summarize(pd.Series([1.0, 1.0]))
    assert (equal["std"], equal["interval"]) == (0, (1.0, 1.0))


def test_only_seeds_of_both_are_paired():
    columns = {("a", "box AP"): {5: 38.0, 1: 40.0, 9: 1.0}, ("b", "box AP"): {1: 41.0, 5: 37.5}}
    found = paired_difference(pd.DataFrame(columns), "a", "b", "box AP")
    assert found["by_seed"] == {"1": 1.0, "5": -0.5}
    assert found["difference"]["mean"] == 0.25
