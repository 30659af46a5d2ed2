"""The scene of the demo: what is put in is what theory says, and nothing else changes."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from flickerscope.demo.scene import DEMO_FLICKER, Flicker, prediction, scene
from flickerscope.errors import SettingsError

RATE = 24
LUMA = np.array([0.2126, 0.7152, 0.0722])
SIZES = [(96, 160), (97, 161), (90, 121), (17, 23)]


def place(**changes):
    """A flicker in the demo's place."""
    values = {"amplitude": 3.0, "frequency_hz": 9.0}
    values |= {"centre": DEMO_FLICKER.centre, "radius": DEMO_FLICKER.radius}
    return Flicker(**(values | changes))


def clip(frames):
    return np.stack(list(frames)).astype(np.float64)


def tone_power(blocks, cycles_per_frame):
    """Power within 2/N of a frequency, (N, rows, columns) to (rows, columns), code^2."""
    n = len(blocks)
    window = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2)[:, None, None]
    rest = blocks - (window * blocks).sum(axis=0) / window.sum()
    power = 2 * np.abs(np.fft.rfft(window * rest, axis=0)) ** 2 / (n * (window**2).sum())
    power[[0, -1]] /= 2
    near = np.abs(np.fft.rfftfreq(n) - cycles_per_frame) <= 2 / n + 1e-9
    return power[near].sum(axis=0)


def block_means(luma, side):
    """Means of side x side pixels, (time, height, width) to (time, rows, columns)."""
    time, rows, columns = luma.shape[0], luma.shape[1] // side, luma.shape[2] // side
    whole = luma[:, : rows * side, : columns * side]
    return whole.reshape(time, rows, side, columns, side).mean(axis=(2, 4))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_frames_are_rgb_bytes_of_the_size_asked_for(height, width):
    pair = [scene(height=height, width=width, frames=3)]
    pair += [prediction(DEMO_FLICKER, height=height, width=width, frames=3)]
    for video in pair:
        frames = list(video)
        assert len(frames) == 3
        assert all(frame.shape == (height, width, 3) for frame in frames)
        assert all(frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in frames)


def test_the_same_seed_gives_the_same_video_and_another_seed_another():
    first, again, other = (clip(scene(height=48, width=64, frames=3, seed=s)) for s in (5, 5, 6))
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 1


def test_a_frame_does_not_depend_on_how_many_are_asked_for():
    short = list(scene(height=48, width=64, frames=2))
    long = list(islice(scene(height=48, width=64, frames=1000), 2))
    assert all(np.array_equal(a, b) for a, b in zip(short, long, strict=True))


def test_the_scene_at_twice_the_rate_shows_the_same_moments_but_for_the_grain():
    slow = clip(scene(height=48, width=64, frames=3, rate=12))
    fast = clip(scene(height=48, width=64, frames=5, rate=Fraction(24)))[::2]
    difference = slow - fast
    # Two draws of grain, each of variance 1, and two roundings, each of 1/12.
    assert difference[1:].var() == pytest.approx(2 + 2 / 12, rel=0.1)


def test_everything_outside_the_place_stays_as_it_is():
    options = {"height": 97, "width": 161, "frames": 6}
    difference = clip(prediction(DEMO_FLICKER, **options)) - clip(scene(**options))
    outside = DEMO_FLICKER.mask(97, 161) == 0
    assert outside.mean() == pytest.approx(1 - math.pi * 0.26 * 0.3, abs=0.01)
    assert not difference[:, outside].any()
    assert difference[:, ~outside].any()


def test_the_difference_stays_within_one_rounding_of_the_formula():
    options = {"height": 96, "width": 160, "frames": 8}
    flicker = place(amplitude=5.0, frequency_hz=7.0, phase=0.4)
    difference = clip(prediction(flicker, **options)) - clip(scene(**options))
    seconds = np.arange(8) / RATE
    wave = 5 * np.sin(2 * np.pi * 7 * seconds + 0.4)
    expected = wave[:, None, None, None] * flicker.mask(96, 160)[..., None]
    assert np.abs(difference - expected).max() < 1 + 1e-3


@pytest.mark.parametrize("frequency_hz", [3.0, 9.0, 10.5])
def test_projecting_the_core_on_sine_and_cosine_gives_the_amplitude_and_phase(frequency_hz):
    options = {"height": 96, "width": 160, "frames": 48}
    flicker = place(amplitude=2.0, frequency_hz=frequency_hz, phase=0.7)
    rows, columns = flicker.core(96, 160)
    difference = clip(prediction(flicker, **options)) - clip(scene(**options))
    series = (difference[:, rows, columns] @ LUMA).mean(axis=(1, 2))
    turn = np.exp(-2j * np.pi * frequency_hz * np.arange(48) / RATE)
    phasor = 2 / 48 * (series * turn).sum() * 1j
    assert abs(phasor) == pytest.approx(2, rel=0.01)
    assert np.angle(phasor) == pytest.approx(0.7, abs=0.01)


def test_flicker_at_nyquist_alternates_by_the_full_amplitude():
    options = {"height": 96, "width": 160, "frames": 6}
    flicker = place(frequency_hz=12.0)
    rows, columns = flicker.core(96, 160)
    difference = clip(prediction(flicker, **options)) - clip(scene(**options))
    means = difference[:, rows, columns].mean(axis=(1, 2, 3))
    assert means == pytest.approx([3, -3, 3, -3, 3, -3], abs=0.01)


@pytest.mark.parametrize("grain_seed", [None, 1])
def test_the_demo_reads_its_amplitude_back_within_three_percent(grain_seed):
    options = {"height": 180, "width": 320, "frames": 32}
    rows, columns = DEMO_FLICKER.core(180, 320)
    videos = scene(**options), prediction(DEMO_FLICKER, **options, grain_seed=grain_seed)
    ref, pred = (
        tone_power(block_means(clip(video)[:, rows, columns] @ LUMA, 3), 9 / RATE).mean()
        for video in videos
    )
    assert math.sqrt(2 * (pred - ref)) == pytest.approx(3, rel=0.03)
    # What the clouds and the grain put there is small beside the tone's 4.5 code^2.
    assert ref < 0.1


@pytest.mark.parametrize("seed", range(6))
def test_the_core_is_never_clipped(seed):
    rows, columns = DEMO_FLICKER.core(96, 160)
    options = {"height": 96, "width": 160, "frames": 24, "seed": seed}
    core = clip(prediction(place(amplitude=10.0), **options))[:, rows, columns]
    assert 16 < core.min() < core.max() < 250


def test_the_grain_has_its_own_seed():
    options = {"height": 96, "width": 160, "frames": 2}
    reference = clip(scene(**options))
    still = place(amplitude=0.0)
    assert np.array_equal(clip(prediction(still, **options)), reference)
    difference = clip(prediction(still, **options, grain_seed=1)) - reference
    assert difference.var() == pytest.approx(2 + 2 / 12, rel=0.05)
    assert abs(difference.mean()) < 0.02


@pytest.mark.parametrize(("height", "width"), [*SIZES, (360, 640), (1080, 1920)])
def test_the_core_is_a_box_of_even_pixels_where_the_mask_is_one(height, width):
    mask = DEMO_FLICKER.mask(height, width)
    rows, columns = DEMO_FLICKER.core(height, width)
    assert mask.shape == (height, width)
    assert mask.min() == 0 and mask.max() == 1
    assert (mask[rows, columns] == 1).all()
    assert not any(edge % 2 for edge in (rows.start, rows.stop, columns.start, columns.stop))
    assert rows.start < rows.stop and columns.start < columns.stop
    grown = mask[rows.start - 3 : rows.stop + 3, columns.start - 3 : columns.stop + 3]
    assert (grown < 1).any()


def test_the_core_of_the_demo_is_a_quarter_of_each_side_or_more():
    rows, columns = DEMO_FLICKER.core(360, 640)
    assert rows.stop - rows.start >= 360 / 4
    assert columns.stop - columns.start >= 640 / 4
    width, height, x, y = columns.stop - columns.start, rows.stop - rows.start, columns, rows
    assert DEMO_FLICKER.core_box(360, 640) == f"{width}x{height}+{x.start}+{y.start}"


def test_the_nearest_trees_pass_at_the_speed_of_the_camera():
    options = {"height": 180, "width": 320, "frames": 25}
    frames = clip(scene(**options)) @ LUMA
    first, last = frames[0, -12:], frames[-1, -12:]
    errors = [np.abs(first[:, k : k + 240] - last[:, :240]).mean() for k in range(40)]
    # 0.045 widths a second, and 0.004 sin(2 pi 0.15) of a smooth swing.
    assert np.argmin(errors) == round(320 * (0.045 + 0.004 * math.sin(0.3 * math.pi)))


@pytest.mark.parametrize(
    ("centre", "radius"),
    [((0.1, 0.5), (0.2, 0.2)), ((0.5, 0.9), (0.2, 0.2)), ((0.5, 0.5), (0, 0.1))],
)
def test_a_place_that_leaves_the_frame_is_refused(centre, radius):
    with pytest.raises(SettingsError, match="radius <= centre"):
        place(centre=centre, radius=radius)


@pytest.mark.parametrize("frequency_hz", [0.0, 12.5])
def test_a_frequency_that_the_rate_cannot_show_is_refused(frequency_hz):
    with pytest.raises(SettingsError, match="up to 12 Hz"):
        next(prediction(place(frequency_hz=frequency_hz)))


def test_a_picture_too_small_to_recognise_is_refused():
    with pytest.raises(SettingsError, match="at least 16"):
        next(scene(height=8, width=64))


def test_a_long_clip_outlives_its_balloons():
    frames = list(scene(height=32, width=48, frames=4, rate=Fraction(1, 60)))
    assert len(frames) == 4
