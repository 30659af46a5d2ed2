"""Two videos in step: delay, gain, what is explained and what is not."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import reference
from reference import as_video

import flickerscope
from flickerscope import InputError

# What follows the motion has tests of its own, and costs most of the time.
analyze = partial(flickerscope.analyze, motion=False)
compare = partial(flickerscope.compare, motion=False)

HF = 2


def texture(rows=48, columns=64, seed=11):
    """A still picture, code values around 128."""
    return 128 + np.random.default_rng(seed).normal(0, 15, (rows, columns)).clip(-40, 40)


def flicker(frames=80, rows=48, columns=64, sigma=4.0, seed=0):
    """White noise of every cell for itself."""
    return sigma * np.random.default_rng(seed).standard_normal((frames, rows, columns))


def together(frames=80, sigma=4.0, seed=0):
    """White noise that all cells share."""
    return sigma * np.random.default_rng(seed).standard_normal((frames, 1, 1))


def in_step(pred, ref, **options):
    """The paired block of code values."""
    result = compare(as_video(pred), as_video(ref), fps=24, **options)
    assert result.paired is not None, result.paired_reason
    return result.paired


@pytest.mark.parametrize("lag", [-2, -1, 0, 1, 2])
def test_a_delay_is_found_and_taken_out(lag):
    x = texture() + flicker(84)
    ref, pred = x[2:82], x[2 - lag : 82 - lag]
    found = in_step(pred, ref)
    assert found.lag == lag
    assert found.correlation == pytest.approx(1, abs=1e-5)
    assert found.error == pytest.approx(np.zeros(16), abs=1e-6)
    assert found.bands[HF].coherence == pytest.approx(1, abs=1e-6)
    assert found.bands[HF].unexplained == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("lag", [-2, 1])
def test_a_delay_that_is_given_is_used(lag):
    x = texture() + flicker(84)
    ref, pred = x[2:82], x[2 - lag : 82 - lag]
    wrong = in_step(pred, ref, lag=0)
    assert (in_step(pred, ref, lag=lag).lag, wrong.lag) == (lag, 0)
    assert wrong.bands[HF].error > 10


def test_a_still_video_has_no_delay():
    still = np.repeat(texture()[None], 80, axis=0)
    assert in_step(still, still).lag == 0


def test_half_the_flicker_has_a_gain_of_a_half_and_a_slope_of_two():
    """beta = Re S_pr / S_pp = .5/.25 and gain = Re S_pr / S_rr = .5, by their definitions."""
    x = flicker()
    found = in_step(texture() + 0.5 * x, texture() + x)
    for band in found.bands:
        assert band.slope == pytest.approx(2, rel=1e-5)
        assert band.gain == pytest.approx(0.5, rel=1e-5)
        assert band.coherence == pytest.approx(1, rel=1e-5)
        assert band.retained == pytest.approx(0.25, rel=1e-5)
    eps = reference.rounding_floor(0.25, 0.5)
    ours, theirs = reference_power(0.5 * x), reference_power(x)
    expected = 10 * np.log10((ours + eps) / (theirs + eps))
    assert found.bands[HF].retained_db == pytest.approx(expected, abs=1e-3)
    assert found.bands[HF].error == pytest.approx(0.25 * 16 / 2, rel=0.02)
    assert found.bands[HF].unexplained == pytest.approx(0, abs=1e-4)


def test_noise_on_top_of_the_reference_lowers_the_slope_and_not_the_gain():
    x, n = flicker(seed=1), flicker(seed=2, sigma=3)
    band = in_step(texture() + x + n, texture() + x).bands[HF]
    assert band.gain == pytest.approx(1, rel=0.01)
    assert band.slope == pytest.approx(16 / 25, rel=0.02)
    assert band.unexplained == pytest.approx(9 / 2, rel=0.03)
    assert band.error == pytest.approx(9 / 2, rel=0.03)
    assert band.coherence == pytest.approx(16 / 25, rel=0.03)


def test_the_error_is_the_power_of_the_difference():
    x, y = flicker(seed=3), 0.7 * flicker(seed=3) + flicker(seed=4, sigma=2)
    found = in_step(texture() + y, texture() + x)
    theory = reference.mean_power(y - x, 32)
    assert found.error == pytest.approx(theory, rel=1e-5)
    for band in found.bands:
        expected = reference.band_power(theory, band.band, 32)
        assert band.error == pytest.approx(expected, rel=1e-5)


def test_a_prediction_of_pure_flicker_over_a_still_reference_is_unexplained():
    ref = np.repeat(texture()[None], 80, axis=0)
    band = in_step(ref + together(), ref).bands[HF]
    assert band.unexplained == pytest.approx(reference_power(together()), rel=1e-4)
    assert band.coherence == pytest.approx(0, abs=1e-9)
    assert band.gain is None
    assert band.retained is None
    eps = reference.rounding_floor(0.25, 0.5)
    expected = 10 * np.log10((reference_power(together()) + eps) / eps)
    assert band.unexplained_db == pytest.approx(expected, abs=1e-3)


def reference_power(x):
    """HF power of code values, by the plain numpy."""
    return reference.band_power(reference.mean_power(x, 32), "HF", 32)


def test_what_is_undefined_because_both_are_still_is_null():
    still = np.repeat(texture()[None], 80, axis=0)
    found = in_step(still, still)
    for band in found.bands:
        assert (band.coherence, band.retained, band.slope, band.gain) == (None, None, None, None)
        assert band.unexplained == 0
        assert band.error == 0
        assert band.unexplained_db == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("frames", "segments"), [(20, 1), (32, 1), (48, 2)])
def test_fewer_than_three_segments_have_no_coherence(frames, segments):
    x = texture() + flicker(frames)
    found = in_step(x, x)
    assert found.segments == segments
    assert "3 segments" in found.note
    assert found.coherence is None
    for band in found.bands:
        assert (band.coherence, band.unexplained, band.retained) == (None, None, None)
        assert (band.unexplained_db, band.retained_db) == (None, None)
        assert band.slope == pytest.approx(1, abs=1e-9)
        assert band.gain == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("shared", [False, True], ids=["cells apart", "cells together"])
def test_independent_flickers_have_no_coherence(shared):
    """Where all cells flicker together, many cells are no more than one."""
    still = texture(16, 24)
    high, bins = [], []
    for seed in range(12):
        if shared:
            a, b = together(64, seed=2 * seed), together(64, seed=2 * seed + 1)
        else:
            a, b = (flicker(64, 16, 24, seed=s) for s in (2 * seed, 2 * seed + 1))
        found = in_step(still + a, still + b, lag=0)
        high.append(found.bands[HF].coherence)
        bins.append(found.coherence[1:-1].mean())
    assert abs(np.mean(high)) < 0.1
    assert abs(np.mean(bins)) < 0.1


@pytest.mark.parametrize(("pred_cut", "ref_cut"), [(40, 50), (50, 40), (40, 40)])
def test_segments_keep_within_the_shots_of_both(pred_cut, ref_cut):
    one, other = texture(seed=1), texture(seed=2)
    one, other = (128 + 2.5 * (x - 128) for x in (one, other))
    one, other = one.clip(0, 255), other.clip(0, 255)
    pred, ref = (
        np.concatenate([np.repeat(one[None], m, 0), np.repeat(other[None], 100 - m, 0)])
        for m in (pred_cut, ref_cut)
    )
    found = in_step(pred, ref, paired=True, lag=0)
    first, last = min(pred_cut, ref_cut), max(pred_cut, ref_cut)
    expected = reference.segment_starts(first, 32), reference.segment_starts(100 - last, 32)
    assert found.segments == sum(len(starts) for starts in expected)
    assert found.error.tolist() == [0.0] * 16


@pytest.mark.parametrize(
    ("pred", "reason"),
    [
        (flicker(80, 24, 32), "different sizes"),
        (flicker(70), "different numbers of frames"),
        (flicker(80, seed=9), "do not correlate"),
    ],
    ids=["size", "length", "content"],
)
def test_videos_that_do_not_match_are_not_read_in_step(pred, reason):
    pred, ref = as_video(128 + pred), as_video(texture() + flicker())
    result = compare(pred, ref, fps=24)
    assert result.paired is None
    assert reason in result.paired_reason
    if reason != "do not correlate":
        with pytest.raises(InputError, match=reason):
            compare(pred, ref, fps=24, paired=True)
    else:
        assert compare(pred, ref, fps=24, paired=True).paired.correlation < 0.5


def test_a_saved_measurement_is_not_read_in_step():
    x = as_video(texture() + flicker())
    result = compare(x, analyze(x, fps=24), fps=24)
    assert result.paired is None
    assert "no frames" in result.paired_reason


def test_paired_readings_can_be_switched_off():
    x = as_video(texture() + flicker(40))
    result = compare(x, x, fps=24, paired=False)
    assert (result.paired, result.paired_reason) == (None, "switched off")


def test_segments_too_short_for_a_spectrum_are_not_read_in_step():
    x = as_video(texture() + flicker(5))
    result = compare(x, x, fps=24)
    assert result.paired is None
    assert "no spectrum" in result.paired_reason
