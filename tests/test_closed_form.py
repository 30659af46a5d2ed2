"""The twenty cases whose answer is known on paper, through the functions that users call."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from reference import as_flat_video, as_video, band_power, bins_of, read

import flickerscope
from flickerscope.comparison.excess import excess_db
from flickerscope.spectrum import tone_amplitude

# What follows the motion has tests of its own, and costs most of the time.
analyze = partial(flickerscope.analyze, motion=False)
compare = partial(flickerscope.compare, motion=False)

N = 32
FPS = 24
TIMES = np.arange(N)


def amplitude(measurement, frequency, scale="pixel"):
    """Of a tone, as the package reads it."""
    transform = measurement.transform()
    power = measurement.rungs[measurement.segment].spectra[f"y/{scale}"].mean_power
    power = transform.frequencies.new_tensor(power)
    return tone_amplitude(power, transform.frequencies, frequency, measurement.segment)


def noise(sigma, rows, columns, frames=N, seed=0):
    """White noise, (frames, rows, columns), code values around 0."""
    return sigma * np.random.default_rng(seed).standard_normal((frames, rows, columns))


def row_of(comparison, band, scale):
    """One row of the table of a comparison."""
    (found,) = [r for r in comparison.table if (r.plane, r.band, r.scale) == ("y", band, scale)]
    return found


def test_01_a_sine_of_amplitude_4_has_power_8_in_hf_and_reads_4():
    phases = np.linspace(0, 2 * math.pi, 8 * 8, endpoint=False).reshape(8, 8)
    x = 128 + 4 * np.sin(2 * math.pi * 12 / 32 * TIMES[:, None, None] + phases)
    measured = analyze(as_video(x), fps=FPS)
    assert read(measured, "HF") == pytest.approx(8.0, rel=0.005)
    assert amplitude(measured, 12 / 32) == pytest.approx(4.0, rel=0.005)


def test_02_an_alternation_of_1_has_power_1_in_the_last_two_bins():
    even = analyze(as_flat_video(128 + (-1.0) ** TIMES), fps=FPS)
    assert read(even, "HF") == pytest.approx(1.0, rel=0.01)
    assert bins_of(even)[-2:] == pytest.approx([1 / 3, 2 / 3], rel=0.01)
    odd = analyze(as_flat_video(128 + (-1.0) ** TIMES[:31]), fps=FPS)
    assert max(odd.rungs) == 31
    assert read(odd, "HF") == pytest.approx(1.0, rel=0.01)
    assert bins_of(odd)[-1] == pytest.approx(0.96, rel=0.01)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([127, 129, 127], 1.0),
        ([129, 129, 129], 0.0),
        ([100, 110, 120], 0.0),
        ([100, 101, 102, 103, 104], 0.0),
        ([127, 129, 127, 129, 127, 129], 1.0),
    ],
)
def test_03_three_frames_are_read_by_their_second_difference(codes, expected):
    measured = analyze(as_flat_video(codes), fps=FPS)
    for scale in ("pixel", "block", "global"):
        assert bins_of(measured, scale) == pytest.approx([expected], abs=1e-6)
    stored = np.array(codes, dtype=np.uint8)[:, None, None] * np.ones((1, 5, 7), dtype=np.uint8)
    assert bins_of(analyze(stored, fps=FPS)) == pytest.approx([expected], abs=1e-6)


def test_04_white_noise_of_sigma_3_has_half_its_power_in_hf_and_a_fifth_in_nyq():
    measured = analyze(as_video(128 + noise(3, 448, 448)), fps=FPS)
    assert read(measured, "HF") == pytest.approx(4.5, rel=0.02)
    assert read(measured, "NYQ") == pytest.approx(1.8, rel=0.02)


def test_05_rounding_has_a_twelfth_of_a_code_squared_and_half_of_it_in_hf():
    x = np.random.default_rng(5).uniform(100, 150, (N, 160, 160))
    measured = analyze(as_video(128 + np.round(x) - x), fps=FPS)
    assert read(measured, "HF") == pytest.approx(1 / 24, rel=0.03)


@pytest.mark.parametrize(("speed", "peak"), [(3, 0.4), (4, 0.2)])
def test_06_a_grating_that_moves_has_its_power_at_speed_times_wavenumber_folded(speed, peak):
    columns = np.arange(160)
    waves = 128 + 20 * np.sin(2 * math.pi * 0.2 * (columns - speed * TIMES[:, None]))
    measured = analyze(as_video(np.repeat(waves[:, None], 64, axis=1)), fps=FPS)
    power = bins_of(measured)
    assert (power.argmax() + 1) / N == pytest.approx(peak, abs=0.5 / N)
    assert power.sum() == pytest.approx(200, rel=0.005)


@pytest.mark.parametrize(("window", "expected"), [("hann", 5.9e-4), ("boxcar", 11.496)])
def test_07_a_ramp_stays_out_of_hf_under_a_hann_window(window, expected):
    measured = analyze(as_flat_video(100 + 1.5 * TIMES), fps=FPS, window=window)
    assert read(measured, "HF") == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("m", [1, 5, 11, 16, 29])
def test_08_a_step_of_40_has_the_power_of_a_dirichlet_kernel(m):
    measured = analyze(as_flat_video(100 + 40 * (m <= TIMES)), fps=FPS, window="boxcar")
    k = np.arange(1, N // 2 + 1)
    c = np.where(k == N // 2, 1, 2)
    theory = c * (40 * np.sin(np.pi * k * m / N) / (N * np.sin(np.pi * k / N))) ** 2
    for scale in ("pixel", "block", "global"):
        assert bins_of(measured, scale) == pytest.approx(theory, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("m", [32, 40, 47])
@pytest.mark.parametrize("stored", [False, True], ids=["float64", "uint8"])
def test_09_two_still_textures_joined_by_a_cut_have_no_flicker_at_all(m, stored):
    textures = np.random.default_rng(9).normal(128, 40, (2, 64, 96)).round().clip(0, 255)
    x = np.repeat(textures, [m, 80 - m], axis=0)
    measured = analyze(x.astype(np.uint8) if stored else as_video(x), fps=FPS)
    assert measured.clips[0].shots == [(0, m), (m, 80)]
    for scale in ("pixel", "block", "global"):
        assert bins_of(measured, scale).tolist() == [0.0] * (N // 2)


def test_10_holding_frames_of_white_noise_for_two_shapes_it_like_1_plus_cos():
    rng = np.random.default_rng(10)
    drawn = rng.standard_normal((N // 2 + 1, 448, 448))
    late = rng.integers(0, 2, (448, 448))
    held = np.empty((N, 448, 448))
    for t in range(N):
        held[t] = np.where((t + late) // 2 == t // 2, drawn[t // 2], drawn[t // 2 + 1])
    held *= 3
    power = bins_of(analyze(as_video(128 + held), fps=FPS))
    white = np.where(np.arange(1, N // 2 + 1) == N // 2, 1, 2) * 9 / N
    density = (power / white)[[3, 7, 11, 15]]
    assert density == pytest.approx([1.71, 1, 0.29, 0], abs=0.02)


def line_amplitudes(pattern):
    """Amplitudes at 1/8, 1/4, 3/8 and 1/2 of a pattern that repeats, by a boxcar."""
    codes = 100 + np.resize(np.asarray(pattern, dtype=np.float64), N)
    measured = analyze(as_flat_video(codes), fps=FPS, window="boxcar")
    return [amplitude(measured, frequency) for frequency in (1 / 8, 1 / 4, 3 / 8, 1 / 2)]


def test_11_an_impulse_of_3_every_8_frames_is_a_comb_of_equal_lines():
    expected = [0.75, 0.75, 0.75, 0.375]
    assert line_amplitudes([3, 0, 0, 0, 0, 0, 0, 0]) == pytest.approx(expected, abs=1e-6)


def test_12_a_sawtooth_of_8_frames_is_a_comb_of_falling_lines():
    expected = [1.1199, 0.6061, 0.4639, 0.2143]
    assert line_amplitudes(np.linspace(0, 3, 8)) == pytest.approx(expected, abs=1e-4)


def test_13_a_key_frame_every_4th_frame_has_lines_at_a_quarter_and_a_half():
    assert line_amplitudes([2, 0, 0, 0]) == pytest.approx([0, 1, 0, 0.5], abs=1e-6)


def test_14_a_checkerboard_that_alternates_is_seen_by_pixels_only():
    rows, columns = np.indices((128, 192))
    x = 128 + 2 * (-1.0) ** (rows + columns + TIMES[:, None, None])
    measured = analyze(as_video(x), fps=FPS)
    assert read(measured, "HF", "pixel") == pytest.approx(4.0, abs=1e-6)
    assert read(measured, "HF", "block") == pytest.approx(0.0, abs=1e-6)
    assert read(measured, "HF", "global") == pytest.approx(0.0, abs=1e-6)


def test_15_blocks_of_64_pixels_hold_a_64th_of_white_noise():
    measured = analyze(as_video(128 + noise(3, 512, 256)), fps=FPS)
    assert read(measured, "HF", "block") == pytest.approx(4.5 / 64, rel=0.1)


@pytest.fixture(scope="module")
def scaled_and_noisy():
    """Case 16: ``pred = .6 ref + n``, sigmas 5 and 2, 10048 series, read in step."""
    ref = noise(5, 64, 157, frames=80, seed=1)
    pred = 0.6 * ref + noise(2, 64, 157, frames=80, seed=2)
    return compare(as_video(128 + pred), as_video(128 + ref), fps=FPS, paired=True, lag=0).paired


def test_16_the_reference_explains_nine_thirteenths_of_it_in_every_bin(scaled_and_noisy):
    assert scaled_and_noisy.coherence[1:] == pytest.approx(0.6923, rel=0.02)


def test_16_what_the_reference_does_not_explain_is_the_power_of_the_noise(scaled_and_noisy):
    (band,) = [band for band in scaled_and_noisy.bands if band.band == "HF"]
    assert band.unexplained == pytest.approx(2.0, rel=0.02)


def test_16_the_reference_explains_nine_thirteenths_of_every_band(scaled_and_noisy):
    """All bands lie in bins >= 2."""
    found = [band.coherence for band in scaled_and_noisy.bands]
    assert found == pytest.approx([0.6923] * 4, rel=0.02)


def test_17_a_delay_of_one_frame_adds_no_power_but_an_error():
    x = 128 + noise(2, 64, 157, frames=81)
    result = compare(as_video(x[:-1]), as_video(x[1:]), fps=FPS, paired=True, lag=0)
    assert row_of(result, "HF", "pixel").excess_db == pytest.approx(0, abs=0.05)
    assert result.energy_db == pytest.approx(0, abs=0.05)
    (band,) = [band for band in result.paired.bands if band.band == "HF"]
    assert band.error == pytest.approx(6.55, rel=0.02)
    assert band_power(result.paired.error, "HF", N) == pytest.approx(6.55, rel=0.02)


def test_18_gain_reads_20_log10_of_it_and_a_swap_the_exact_negative():
    x = noise(6, 64, 90)
    quiet, loud = as_video(128 + x), as_video(128 + 1.2 * x)
    forward, backward, same = compare(loud, quiet), compare(quiet, loud), compare(loud, loud)
    for row in forward.table:
        measured = excess_db(row.pred_power, row.ref_power, 0)
        assert measured == pytest.approx(1.584, abs=5e-4)
        assert measured == pytest.approx(20 * math.log10(1.2), abs=1e-6)
    assert [row.excess_db for row in same.table] == [0.0] * len(same.table)
    assert [row.excess_db for row in backward.table] == [-row.excess_db for row in forward.table]


def test_19_a_still_reference_against_an_alternation_of_1_reads_12_72_db():
    still, moving = as_flat_video(128 + 0 * TIMES), as_flat_video(128 + (-1.0) ** TIMES)
    result = compare(moving, still, fps=FPS)
    assert (result.headline.band, result.headline.scale) == ("HF", "block")
    assert result.energy_db == pytest.approx(12.72, abs=0.01)


@pytest.mark.parametrize("frames", [14, 31, 32, 80])
def test_20_time_reversal_leaves_the_power_alone(frames):
    x = np.cumsum(noise(3, 12, 16, frames=frames), axis=0) + 128
    forward, backward = (analyze(as_video(clip.clip(0, 255)), fps=FPS) for clip in (x, x[::-1]))
    for scale in ("pixel", "block", "global"):
        assert bins_of(backward, scale) == pytest.approx(
            bins_of(forward, scale), rel=1e-9, abs=1e-12
        )
