"""Paired differences between twins: what a handful of noisy runs can say, with its interval."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Summary:
    """Mean and spread of a few numbers.

    Attributes:
        count: how many there are.
        mean: None where there is none.
        std: the sample's standard deviation (divided by n - 1); None below two.
        interval: of the mean, by Student's t; None below two.
    """

    count: int
    mean: float | None
    std: float | None
    interval: tuple[float, float] | None


def summarize(values: Sequence[float], confidence: float = 0.95) -> Summary:
    """Mean, standard deviation and the mean's confidence interval.

    The interval is mean +- t std / sqrt(n), t being the (1 + confidence) / 2 quantile of Student's
    distribution with n - 1 degrees of freedom. With 3 runs t is 4.30, not 1.96: few say little.

    Args:
        values: independent measurements.
        confidence: of the interval, above 0 and below 1.

    Raises:
        ValueError: a value is nan or infinite, or the confidence is out of its range.

    Example:
        >>> summarize([1.0, 2.0, 3.0]).mean
        2.0
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}; expected a number between 0 and 1, as 0.95")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"values={list(values)}: not all are finite; leave out what is missing")
    count = len(values)
    if count == 0:
        return Summary(0, None, None, None)
    mean = statistics.fmean(values)
    if count == 1:
        return Summary(1, mean, None, None)
    std = statistics.stdev(values)
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * std / math.sqrt(count)
    return Summary(count, mean, std, (mean - half, mean + half))


def paired_differences(
    baseline: Mapping[int, float], model: Mapping[int, float]
) -> dict[int, float]:
    """The model's value minus its baseline twin's, for each seed that both have.

    Args:
        baseline: a value for each seed.
        model: the same of the twin.

    Example:
        >>> paired_differences({1: 38.0, 2: 38.5}, {2: 39.0, 3: 39.5})
        {2: 0.5}
    """
    return {seed: model[seed] - baseline[seed] for seed in sorted(baseline.keys() & model.keys())}
