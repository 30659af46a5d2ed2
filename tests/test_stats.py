"""The statistics of many clips against scipy, closed forms and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from flickerscope.errors import InputError, SettingsError
from flickerscope.stats import (
    Batch,
    Counts,
    Interval,
    average_within,
    hodges_lehmann,
    holm,
    judge_batch,
    mann_whitney_p,
    mean_interval,
    mean_p,
    median_interval,
    median_lower_bound,
    percentile_interval,
    signed_rank_p,
    summarize_batch,
)


@pytest.mark.parametrize("count", [1, 5, 8, 20, 45])
@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_signed_ranks_agree_with_scipy_where_nothing_is_tied(count: int, alternative: str) -> None:
    values = np.random.default_rng(count).normal(0.4, 1, count)
    theirs = scipy.stats.wilcoxon(values, alternative=alternative, method="exact").pvalue
    assert signed_rank_p(values, alternative=alternative) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(
    "values", [[1, 1, 2, -1, 3, 3, -3], [0, 0, 2, 2, -2, 5], [0.5, -0.5, 1.5, 1.5, 1.5]]
)
def test_signed_ranks_are_exact_with_ties_by_counting_all_signs(values: list[float]) -> None:
    kept = [value for value in values if value]
    ranks = scipy.stats.rankdata(np.abs(kept))
    seen = sum(rank for rank, value in zip(ranks, kept, strict=True) if value > 0)
    sums = [np.dot(ranks, signs) for signs in itertools.product([0, 1], repeat=len(kept))]
    expected = np.mean(np.array(sums) >= seen)
    assert signed_rank_p(values) == pytest.approx(expected, rel=1e-12)


def test_all_values_positive_give_one_in_two_to_the_n() -> None:
    assert signed_rank_p([3, 1, 4, 1.5, 9]) == pytest.approx(2**-5)


def test_an_unknown_alternative_is_refused() -> None:
    with pytest.raises(SettingsError, match="greater, less or two-sided"):
        signed_rank_p([1.0], alternative="more")


def test_nothing_but_zeros_is_no_evidence() -> None:
    assert signed_rank_p([0.0] * 9) == 1.0


def test_many_values_take_the_normal_limit_of_scipy() -> None:
    values = np.random.default_rng(3).normal(0.05, 1, 900)
    theirs = scipy.stats.wilcoxon(values, alternative="greater", method="asymptotic",
                                  correction=True).pvalue  # fmt: skip
    assert signed_rank_p(values) == pytest.approx(theirs, rel=1e-6)


def test_the_lower_bound_of_the_median_is_the_tabled_order_statistic() -> None:
    """Tables of the sign test: 1st of 5, 2nd of 8, 3rd of 12, 6th of 20 at 5 %, one-sided."""
    for count, rank in [(5, 1), (8, 2), (12, 3), (20, 6)]:
        assert median_lower_bound(np.arange(1.0, count + 1)) == rank
    assert median_lower_bound([9.0, 8.0, 7.0, 6.0]) is None


def test_the_interval_of_the_median_agrees_with_scipy() -> None:
    values = np.random.default_rng(5).normal(size=37)
    ours = median_interval(values)
    # Asked for exactly what lies between the order statistics, scipy returns them.
    theirs = scipy.stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    assert (ours.low, ours.high) == (theirs.low, theirs.high)
    assert ours.estimate == np.median(values)
    assert median_interval([1.0, 2.0]).low is None


def test_holm_adjusts_as_in_its_worked_example() -> None:
    """Steps 4 x .01, 3 x .02, then 2 x .03 and 1 x .04, never falling."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_seeds_of_a_prompt_are_averaged_and_stay_in_order() -> None:
    means = average_within([1.0, 10.0, 3.0, 5.0], ["a", "b", "a", None])
    assert means.tolist() == [2.0, 10.0, 5.0]


def test_clips_linked_by_prompt_or_by_reference_are_one_unit() -> None:
    means = average_within([1, 2, 6, 50], ["p", "p", "q", "r"], ["x", "y", "y", "z"])
    assert means.tolist() == [3.0, 50.0]


def test_keys_that_do_not_match_the_values_are_refused() -> None:
    with pytest.raises(InputError, match="2 keys for 1 values"):
        average_within([1.0], ["a", "b"])


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan, 1.0]])
def test_what_could_not_be_measured_is_refused(values: list[float]) -> None:
    with pytest.raises(InputError):
        summarize_batch(values)


def test_no_mean_is_taken_over_an_infinite_value() -> None:
    with pytest.raises(InputError, match="not finite"):
        mean_interval([math.inf, 1.0])


@pytest.mark.parametrize("tied", [False, True])
def test_mann_whitney_is_that_of_scipy(tied: bool) -> None:
    random = np.random.default_rng(8)
    x, y = random.normal(0.5, 1, 14), random.normal(size=11)
    if tied:
        x, y = np.round(x), np.round(y)
    method = "asymptotic" if tied else "exact"
    theirs = scipy.stats.mannwhitneyu(x, y, method=method).pvalue
    assert mann_whitney_p(x, y) == pytest.approx(theirs, rel=1e-12)
    assert mann_whitney_p([2.0, 2.0], [2.0]) == 1.0


def test_the_shift_of_a_shifted_copy_is_the_shift() -> None:
    values = np.random.default_rng(2).normal(size=30)
    shift = hodges_lehmann(values + 2.5, values)
    assert shift.estimate == pytest.approx(2.5)
    assert shift.low is not None and shift.high is not None
    assert shift.low < 2.5 < shift.high


def test_the_interval_of_the_shift_holds_what_the_exact_test_does_not_reject() -> None:
    random = np.random.default_rng(4)
    x, y = random.normal(1, 1, 9), random.normal(0, 1, 12)
    shift = hodges_lehmann(x, y)
    assert shift.low is not None and shift.high is not None

    def p(moved: float) -> float:
        return float(scipy.stats.mannwhitneyu(x - moved, y, method="exact").pvalue)

    for end, inside in [(shift.low, 1e-6), (shift.high, -1e-6)]:
        assert p(end + inside) > 0.05
        assert p(end - inside) <= 0.05


def test_three_against_three_allow_no_interval() -> None:
    """20 orders: even the most extreme has p = .1."""
    assert hodges_lehmann([1.0, 2, 3], [4.0, 5, 6]).low is None


def test_flickering_more_needs_the_motion_to_agree() -> None:
    high, none = summarize_batch(np.linspace(2, 6, 12)), summarize_batch(np.linspace(-3, 3, 12))
    assert judge_batch(high, high) == "flickers more"
    assert judge_batch(high, none) == judge_batch(high, None)
    assert judge_batch(high, None) == "more energy, consistent with motion or sharpness"
    assert judge_batch(none, high) == "no difference found"
    assert judge_batch(summarize_batch([9.0] * 4), high) == "too few clips"


def test_a_certain_but_tiny_difference_is_none() -> None:
    batch = summarize_batch(np.full(30, 0.2) + np.arange(30) * 1e-3)
    assert batch.p < 1e-6
    assert not batch.higher and not batch.materially_higher


def test_counts_say_every_denominator() -> None:
    assert str(Counts(97, 2, 1)) == "97 of 100 measured, 2 not measurable, 1 failed"
    assert str(Counts(3, 0, 0)) == "3 of 3 measured"


def _rate(batches: list[Batch], flag: str) -> float:
    return float(np.mean([getattr(batch, flag) for batch in batches]))


@pytest.mark.parametrize("clips", [8, 12, 20])
def test_false_alarms_stay_rare_with_heavy_tails_and_shared_references(clips: int) -> None:
    """Null: Student's t with 2 degrees of freedom, three clips a reference, half of their variance
    from the reference that they share.
    """
    random = np.random.default_rng(clips)
    references = np.repeat(np.arange(clips), 3)
    batches, at_delta = [], []
    for _ in range(600):
        shared = random.standard_t(2, clips)[references]
        units = average_within(2 * (shared + random.standard_t(2, 3 * clips)), references.tolist())
        batches.append(summarize_batch(units))
        at_delta.append(summarize_batch(units + 1.0))
    assert _rate(batches, "higher") <= 0.08
    assert _rate(batches, "materially_higher") <= 0.08
    assert np.mean([judge_batch(b, b) == "flickers more" for b in batches]) <= 0.08
    assert _rate(at_delta, "materially_higher") <= 0.08


def test_without_averaging_shared_references_would_raise_false_alarms() -> None:
    """What the averaging is for: the same null, every clip taken for itself."""
    random = np.random.default_rng(1)
    alarms = [
        signed_rank_p(np.repeat(random.normal(size=12), 5) + 0.3 * random.normal(size=60)) < 0.05
        for _ in range(400)
    ]
    assert np.mean(alarms) > 0.15


@pytest.mark.parametrize(("count", "power"), [(8, 0.46), (12, 0.68), (20, 0.88)])
def test_the_power_is_what_the_design_promises(count: int, power: float) -> None:
    """2 dB beyond the tested value with a standard deviation of 3 dB between clips."""
    random = np.random.default_rng(count)
    found = [signed_rank_p(random.normal(2, 3, count)) < 0.05 for _ in range(2500)]
    assert np.mean(found) == pytest.approx(power, abs=0.03)


def test_the_interval_and_the_p_value_of_a_mean_are_students() -> None:
    values = [3.1, 2.4, 2.9, 4.0, 3.3]
    theirs = scipy.stats.ttest_1samp(values, 0)
    found, ends = mean_interval(values), theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert found.estimate == pytest.approx(np.mean(values))
    assert mean_p(values) == pytest.approx(theirs.pvalue)


def test_one_value_has_no_interval_and_zeros_are_no_evidence() -> None:
    assert mean_interval([2.0]) == Interval(2.0, None, None)
    assert mean_p([2.0]) == mean_p([0.0, 0.0, 0.0]) == 1.0
    assert mean_p([2.0, 2.0, 2.0]) == 0.0


def test_the_interval_of_draws_leaves_out_a_fortieth_at_each_end() -> None:
    found = percentile_interval(500.0, np.arange(1001.0))
    assert (found.low, found.estimate, found.high) == pytest.approx((25, 500, 975))
