"""Shifts between two sets against all of their differences, made and sorted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, rankdata

from flickerscope import shift
from flickerscope.errors import InputError
from flickerscope.shift import Differences
from flickerscope.stats import (
    average_within,
    hodges_lehmann,
    judge_batch,
    mann_whitney_p,
    median_interval,
    median_lower_bound,
    signed_rank_p,
    summarize_batch,
    summarize_shift,
    units_of,
)

INF = math.inf


def made(kind: str, draw: np.random.Generator, count: int) -> np.ndarray:
    values = draw.normal(size=count)
    if kind == "tied":
        return np.round(values)
    if kind == "one value":
        return np.full(count, values[0])
    return values * 10.0 ** draw.integers(-12, 12) if kind == "wide" else values


@pytest.mark.parametrize("enumerated", [0, 4])
@pytest.mark.parametrize("kind", ["plain", "tied", "one value", "wide"])
def test_every_difference_has_its_rank(kind, enumerated, monkeypatch) -> None:
    """To the bit, also where pivots have to find the last one."""
    monkeypatch.setattr(shift, "ENUMERATED", enumerated)
    draw = np.random.default_rng(len(kind))
    for _ in range(12):
        x, y = (made(kind, draw, count) for count in draw.integers(1, 14, 2))
        every = np.sort(np.subtract.outer(x, y).ravel())
        found = Differences(x, y)
        assert [found.find(rank) for rank in range(1, len(every) + 1)] == every.tolist()
        assert found.median() == np.median(every)


def test_the_interval_of_large_sets_is_that_of_all_differences() -> None:
    """Its ranks are those of the normal limit: mn/2 -+ 1.96 sqrt(mn (m + n + 1)/12)."""
    draw = np.random.default_rng(7)
    x, y = np.round(draw.normal(1, 3, 400), 1), draw.standard_t(2, 300)
    every = np.sort(np.subtract.outer(x, y).ravel())
    rank = math.floor(60_000 - 1.959964 * math.sqrt(120_000 * 701 / 12))
    found = hodges_lehmann(x, y)
    assert found.estimate == np.median(every)
    assert (found.low, found.high) == (every[rank - 1], every[-rank])


def test_many_clips_take_no_matrix_of_differences() -> None:
    """Of 200,000 and 100,000 values: 160 GB of differences."""
    x = np.linspace(0.0, 1.0, 200_001)
    found = Differences(x + 3.0, np.linspace(0.0, 1.0, 100_001))
    assert found.find(1) == 2.0
    assert found.median() == pytest.approx(3.0)


def test_an_infinite_value_counts_as_one_above_all_others() -> None:
    """The statistics are those of any finite value that lies far above."""
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=17), draw.normal(size=12)
    far = x.copy()
    x[:5], far[:5] = INF, 1e6
    assert mann_whitney_p(x, y) == pytest.approx(mannwhitneyu(far, y, method="asymptotic").pvalue)
    ours, theirs = hodges_lehmann(x, y), hodges_lehmann(far, y)
    assert (ours.estimate, ours.low) == (theirs.estimate, theirs.low)
    assert (ours.high, theirs.high > 1e5) == (INF, True)
    assert signed_rank_p(x) == pytest.approx(signed_rank_p(far))
    assert median_interval(x).low == median_interval(far).low
    assert median_interval(x).high == INF  # the 13th of 17, of which 12 are finite


def test_infinite_values_of_both_sets_do_not_differ() -> None:
    assert hodges_lehmann([INF] * 6, [INF] * 6) == hodges_lehmann([0.0] * 6, [0.0] * 6)
    assert mann_whitney_p([INF, INF], [INF]) == 1.0
    assert Differences(np.array([INF, 1.0]), np.array([INF, 0.0])).find(1) == -INF


def test_infinite_values_share_the_largest_rank() -> None:
    """Ranks of sizes 1, 2, inf, inf: 1, 2, 3.5, 3.5; all signs but one are positive."""
    values = [1.0, -2.0, INF, INF]
    ranks = rankdata(np.abs(values))
    assert ranks.tolist() == [1.0, 2.0, 3.5, 3.5]
    sums = [np.dot(ranks, [i >> k & 1 for k in range(4)]) for i in range(16)]
    assert signed_rank_p(values) == np.mean(np.array(sums) >= 8.0)


@pytest.mark.parametrize(
    ("values", "median"),
    [([0, 1, INF], 1), ([0, INF], INF), ([0, INF, INF], INF), ([-INF, 0, 0, INF], 0)],
)
def test_the_median_is_infinite_where_the_value_in_the_middle_is(values, median) -> None:
    assert median_interval(values).estimate == median


def test_a_unit_is_infinite_however_many_of_its_clips_are() -> None:
    means = average_within([INF, INF, 2.0, 4.0, 6.0], ["p", "p", "p", "q", "q"])
    assert means.tolist() == [INF, 5.0]
    with pytest.raises(InputError, match="-inf"):
        average_within([-INF, 1.0], ["p", "q"])


def test_a_batch_is_incoherent_where_its_median_is() -> None:
    """Three of five; of two the energy decides; of four in all there are too few."""
    calm = summarize_batch([0.0, 0.1, -0.1, 0.2, 0.1])
    torn = summarize_batch([0.0, 0.0, INF, INF, INF])
    assert judge_batch(calm, torn) == "incoherent"
    assert judge_batch(calm, summarize_batch([0.0, 0.0, 0.0, INF, INF])) == "no difference found"
    assert judge_batch(summarize_batch([0.0] * 4), torn) == "too few clips"
    assert judge_batch(calm, summarize_shift([INF] * 3 + [0.0] * 2, [0.0] * 5)) == "incoherent"
    assert median_lower_bound([INF] * 5) == INF


def test_clips_that_a_third_one_links_are_one_unit() -> None:
    assert units_of(["p", "p", None, "q"], ["x", "y", "z", "y"]) == [0, 0, 1, 0]
