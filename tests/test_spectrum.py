"""The temporal transform: held against scipy, against Parseval, and against tones of known size."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from flickerscope.errors import InputError, SettingsError
from flickerscope.settings import Settings
from flickerscope.spectrum import (
    bin_frequencies,
    make_transform,
    power,
    power_density,
    tone_amplitude,
    window,
)
from flickerscope.units import ROUNDING_POWER

LENGTHS = [8, 9, 14, 16, 25, 31, 32, 81]
WINDOWS = ["hann", "boxcar"]


def series(frames, cells=5, seed=0):
    """Noise on a slope on a large mean: everything a detrend could get wrong."""
    rng = np.random.default_rng(seed)
    return 100 + 0.7 * np.arange(frames)[:, None] + 5 * rng.standard_normal((frames, cells))


@pytest.mark.parametrize("frames", LENGTHS)
def test_the_hann_window_is_symmetric_nowhere_zero_and_of_half_a_sample(frames):
    w = window(frames)
    assert w.dtype == torch.float64
    assert torch.equal(window(frames, "boxcar"), torch.ones(frames, dtype=torch.float64))
    assert w.numpy() == pytest.approx(w.flip(0).numpy(), rel=1e-12)
    assert w.min() > 0
    doubled = signal.windows.hann(2 * frames + 1)[1::2]  # its samples half a step further on
    assert w.numpy() == pytest.approx(doubled, rel=1e-12)


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("frames", [2, 3, *LENGTHS])
def test_the_bins_sum_to_the_windowed_variance(frames, kind):
    x = series(frames)
    w = reference.window(frames, kind)[:, None]
    rest = x - (w * x).sum(axis=0) / w.sum()
    variance = (w**2 * rest**2).sum(axis=0) / (w**2).sum()
    total = power(torch.from_numpy(x), kind).sum(0).numpy()
    assert total == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("frames", LENGTHS)
def test_power_is_the_periodogram_of_scipy(frames, kind):
    x = series(frames)
    w = window(frames, kind).numpy()
    rest = x - (w[:, None] * x).sum(axis=0) / w.sum()
    frequencies, spectrum = signal.periodogram(
        rest, window=w, detrend=False, scaling="spectrum", axis=0
    )
    # scipy's spectrum reads a tone at its peak bin, ours over all of its bins.
    factor = w.sum() ** 2 / (frames * (w**2).sum())
    ours = power(torch.from_numpy(x), kind).numpy()
    assert ours == pytest.approx(spectrum * factor, rel=1e-9, abs=1e-12)
    assert bin_frequencies(frames).numpy() == pytest.approx(frequencies[1:], rel=1e-12)


@pytest.mark.parametrize("frames", LENGTHS)
def test_power_density_is_that_of_scipy(frames):
    x, w = series(frames), window(frames).numpy()
    rest = x - (w[:, None] * x).sum(axis=0) / w.sum()
    _, density = signal.periodogram(rest, fs=24, window=w, detrend=False, scaling="density", axis=0)
    ours = power_density(power(torch.from_numpy(x)), frames, 24.0).numpy()
    assert ours == pytest.approx(density, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("frames", LENGTHS)
def test_the_matrix_gives_the_same_power_as_the_transform(frames, kind):
    x = torch.from_numpy(series(frames))
    transform = make_transform(frames, Settings(window=kind))
    by_matrix = transform.bins((transform.matrix @ x).square())
    direct = power(x, kind)[1:]
    assert by_matrix.numpy() == pytest.approx(direct.numpy(), rel=1e-9, abs=1e-11)
    rows = transform.row_weights @ (transform.matrix @ x).square()
    assert rows.numpy() == pytest.approx((transform.weights @ direct).numpy(), rel=1e-9, abs=1e-11)
    real, imaginary = transform.quadratures()
    by_halves = (real @ x).square() + (imaginary @ x).square()
    assert by_halves.numpy() == pytest.approx(direct.numpy(), rel=1e-9, abs=1e-11)


def test_power_keeps_the_trailing_shape_and_the_type():
    x = torch.rand(12, 3, 4, 2)
    assert power(x).shape == (7, 3, 4, 2)
    assert power(x).dtype == torch.float32
    assert power(x.double()).dtype == torch.float64


@pytest.mark.parametrize("x", [torch.zeros(8, dtype=torch.uint8), torch.tensor(1.0), torch.ones(1)])
def test_power_refuses_what_has_no_time_or_no_fractions(x):
    with pytest.raises(InputError, match="floating-point samples along two or more times"):
        power(x)


def tone(frames, frequency, phase, size=2.0):
    """The package's power of a tone on a mean, (bins,)."""
    t = torch.arange(frames, dtype=torch.float64)
    return power(128 + size * torch.sin(2 * math.pi * frequency * t + phase))[1:]


@settings(max_examples=300, deadline=None)
@given(
    frames=st.sampled_from([14, 16, 25, 32, 49]),
    place=st.floats(0, 1),
    phase=st.floats(0, 2 * math.pi),
)
def test_a_tone_of_amplitude_2_reads_1_999_to_2_000_at_any_phase(frames, place, phase):
    low, high = 3 / frames, 0.5 - 3 / frames
    frequency = low + place * (high - low)
    read = tone_amplitude(
        tone(frames, frequency, phase), bin_frequencies(frames), frequency, frames
    )
    assert 1.9985 <= read < 2.0005


@pytest.mark.parametrize("frames", [8, 14, 16, 32])
def test_an_alternation_of_2_reads_2_at_the_nyquist_frequency(frames):
    read = tone_amplitude(tone(frames, 0.5, math.pi / 2), bin_frequencies(frames), 0.5, frames)
    assert read == pytest.approx(2, rel=0.001)


def test_the_peak_bin_alone_reads_less_than_the_tone():
    on_bin = math.sqrt(2 * float(tone(32, 10 / 32, 0.3).max())) / 2
    between = math.sqrt(2 * float(tone(32, 10.5 / 32, 0.3).max())) / 2
    assert on_bin == pytest.approx(0.82, abs=0.005)
    assert between == pytest.approx(0.69, abs=0.005)


@pytest.mark.parametrize("frames", LENGTHS)
def test_band_weights_are_overlap_over_width(frames):
    transform = make_transform(frames, Settings())
    for band, weights in zip(transform.bands, transform.weights.numpy(), strict=True):
        theory = reference.band_weights(*reference.band_limits(band.name, frames), frames)
        assert weights == pytest.approx(theory, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(8, 64),
    edges=st.lists(st.integers(1, 499), min_size=1, max_size=6, unique=True),
)
def test_bands_side_by_side_share_every_bin_without_loss(frames, edges):
    ends = [0.0, *(edge / 1000 for edge in sorted(edges)), 0.5]
    text = ", ".join(f"b{i}:{a}-{b}" for i, (a, b) in enumerate(pairwise(ends)))
    weights = make_transform(frames, Settings(bands=text)).weights
    assert weights.min() >= 0
    assert weights.sum(0).numpy() == pytest.approx(np.ones(frames // 2), abs=1e-12)


def test_a_line_on_the_edge_of_two_bands_is_split_between_them():
    transform = make_transform(32, Settings())
    names = [band.name for band in transform.bands]
    at_quarter = transform.weights[:, 7]
    assert names == ["LF", "MF", "HF", "NYQ"]
    assert at_quarter.tolist() == pytest.approx([0, 0.5, 0.5, 0], abs=1e-12)


def test_the_lowest_band_starts_clear_of_the_mean_and_is_empty_in_short_segments():
    for frames in (8, 12, 13, 32):
        low_band = make_transform(frames, Settings()).bands[0]
        assert low_band.low == pytest.approx(1.5 / frames, rel=1e-12)
        assert low_band.empty == (frames <= 12)


@pytest.mark.parametrize("frames", [8, 10, 14, 15, 16, 20, 32])
def test_a_band_is_reliable_two_bins_above_an_eighth(frames):
    bands = {band.name: band for band in make_transform(frames, Settings()).bands}
    assert bands["HF"].reliable == (frames >= 16)
    assert bands["NYQ"].reliable
    assert not bands["LF"].reliable
    assert not bands["MF"].reliable


def test_the_highest_band_holds_77_percent_of_an_alternation_in_8_frames():
    transform = make_transform(8, Settings())
    share = transform.weights[3] @ tone(8, 0.5, math.pi / 2, size=1.0)
    assert float(share) == pytest.approx(0.77, abs=0.005)


def test_the_floor_of_a_band_is_rounding_in_its_width():
    assert pytest.approx(reference.ROUNDING, rel=1e-12) == ROUNDING_POWER
    bands = {band.name: band for band in make_transform(32, Settings()).bands}
    assert bands["HF"].epsilon == pytest.approx(0.0565, abs=5e-5)
    for name, band in bands.items():
        floor = reference.rounding_floor(*reference.band_limits(name, 32))
        assert band.epsilon == pytest.approx(floor, rel=1e-12)


@pytest.mark.parametrize("frames", range(3, 8))
def test_segments_without_a_spectrum_have_one_band_of_second_differences(frames):
    transform = make_transform(frames, Settings())
    assert not transform.is_spectrum
    (band,) = transform.bands
    assert (band.name, band.reliable) == ("second difference", True)
    assert band.epsilon == pytest.approx(0.0424, abs=5e-5)
    x = series(frames)[:, 0]
    read = transform.bins((transform.matrix @ torch.from_numpy(x)).square())
    assert read.numpy() == pytest.approx([reference.second_difference_power(x)], rel=1e-9)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_a_segment_has_three_frames_at_least(frames):
    with pytest.raises(InputError, match="3 frames or more"):
        make_transform(frames, Settings())


@pytest.mark.parametrize("rate", [24, 30, Fraction(30000, 1001)])
def test_bands_in_hertz_are_cut_at_the_nyquist_frequency(rate):
    transform = make_transform(32, Settings(bands="hz"), Fraction(rate))
    ends = [(1, 3), (3, 8), (8, 15), (15, 30)]
    for band, (low, high) in zip(transform.bands, ends, strict=True):
        assert band.low == pytest.approx(low / float(rate), rel=1e-12)
        assert band.high == pytest.approx(min(high / float(rate), 0.5), rel=1e-12)
        assert band.empty == (low / float(rate) >= 0.5)


def test_bands_in_hertz_need_a_frame_rate():
    with pytest.raises(SettingsError, match="frame rate is not known"):
        make_transform(32, Settings(bands="hz"))
