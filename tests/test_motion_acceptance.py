"""What motion-compensated flicker promises of synthetic clips, each case at its limit.

The clips have 24 frames of 288x416, a 1/f texture of standard deviation 40, and no codec; see
`moving`. An alternation of +-a is to read 4 a^2, a white trace its own ``-mean(d+ d-)``, and
whatever is no flicker 0, in code^2. Slow flicker, of two frames on and two off, reads 4 a^2 too.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import product

import numpy as np
import pytest
from moving import (
    alternation,
    constant,
    flash,
    held,
    letterboxed,
    measured,
    on_and_off,
    own_flicker,
    pan,
    ramp,
    shaken,
    step,
    turned,
    upper_still,
    white,
    with_insert,
    zoomed,
)

NO_FLICKER = 0.08
DRAWS = range(4)


@pytest.mark.parametrize("clip", [partial(pan, 0), constant], ids=["texture", "gray"])
def test_a_still_picture_is_no_flicker(clip):
    assert abs(measured(clip()).flicker) < 1e-3


@cache
def reading_of_pan(speed):
    return measured(pan(speed))


@pytest.mark.parametrize("speed", [0.4, 1, 2.5, 4, 8, 12, 16, 20, 24])
def test_a_pan_is_no_flicker(speed):
    assert abs(reading_of_pan(speed).flicker) < NO_FLICKER


@pytest.mark.parametrize("seed", DRAWS)
@pytest.mark.parametrize("speed", [2, 6, 10])
def test_a_pan_by_halves_of_a_small_pixel_is_no_flicker(speed, seed):
    # At 72 rows: 0.5, 1.5, 2.5 pixels a frame, where aliases change their sign from frame to frame.
    assert abs(measured(pan(speed, seed=seed)).flicker) < NO_FLICKER


@pytest.mark.parametrize("speed", [0.4, 2.5, 8, 24])
def test_a_tilt_is_no_flicker(speed):
    assert abs(measured(pan(0, down=speed)).flicker) < NO_FLICKER


@pytest.mark.parametrize("speed", [0, 0.4, 1, 2.5, 8, 24])
def test_a_pan_is_no_slow_flicker(speed):
    # What the motion over two frames leaves reads below 0.
    assert reading_of_pan(speed).slow < NO_FLICKER


@pytest.mark.parametrize("speed", [None, 0, 1, 8])
def test_two_frames_on_and_two_off_by_one_read_four(speed):
    clip = constant() if speed is None else pan(speed)
    assert measured(clip + on_and_off(1)).slow == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize("rate", [1.02, 1 / 1.02], ids=["in", "out"])
def test_a_zoom_is_no_flicker(rate):
    clip = zoomed(1.02)
    assert abs(measured(clip if rate > 1 else clip[::-1]).flicker) < NO_FLICKER


def test_a_rotation_is_no_flicker():
    assert abs(measured(turned(0.02)).flicker) < NO_FLICKER


@pytest.mark.parametrize("seed", DRAWS)
def test_a_shaken_pan_is_no_flicker(seed):
    assert abs(measured(shaken(3, 1, seed=seed)).flicker) < NO_FLICKER


@pytest.mark.parametrize("reach", [12, 24])
def test_a_violently_shaken_pan_is_followed_and_no_flicker(reach):
    reading = measured(shaken(reach, 1))
    assert abs(reading.flicker) < NO_FLICKER
    assert reading.coverage > 0.6


@pytest.mark.parametrize("speed", [None, 0, 1, 8, 16])
def test_an_alternation_by_one_reads_four(speed):
    clip = constant() if speed is None else pan(speed)
    assert measured(clip + alternation(1)).flicker == pytest.approx(4, rel=0.03)


def test_an_alternation_by_one_reads_four_under_a_zoom():
    assert measured(zoomed(1.02) + alternation(1)).flicker == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("seed", DRAWS)
@pytest.mark.parametrize("speed", [0, 1, 8, 16])
def test_white_flicker_reads_what_the_trace_has(speed, seed):
    trace = white(0.5, seed)
    reading = measured(pan(speed) + trace)
    assert reading.flicker == pytest.approx(own_flicker(trace), abs=0.08)


@cache
def white_on_a_still_picture(sd, seed):
    return measured(pan(0) + white(sd, seed)).flicker


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
@pytest.mark.parametrize(("sd", "seed"), [*product([2], [0, 1, 5]), *product([4], [0, 3])])
def test_a_still_strip_hides_no_flicker(sd, share, seed):
    reading = measured(pan(0) + white(sd, seed) * upper_still(share))
    assert reading.flicker > 0.9 * white_on_a_still_picture(sd, seed)


def test_a_fade_is_no_flicker():
    assert abs(measured(pan(0) + ramp(2)).flicker) < 0.01


@pytest.mark.parametrize("seed", DRAWS)
def test_a_fade_leaves_white_flicker_as_it_is(seed):
    still = white_on_a_still_picture(0.5, seed)
    assert measured(pan(0) + ramp(2) + white(0.5, seed)).flicker == pytest.approx(still, abs=0.01)


@pytest.mark.parametrize("at", [1, 2, 12, 22, 23])
@pytest.mark.parametrize(("event", "size"), [(step, 40), (flash, 20)], ids=["step", "flash"])
def test_a_step_and_a_flash_are_no_flicker_and_pop(event, size, at):
    reading = measured(pan(0) + event(size, at))
    assert abs(reading.flicker) < 0.01
    assert reading.pop == pytest.approx(size**2, rel=0.01)


def test_sensor_noise_on_gray_is_next_to_no_flicker():
    clip = constant()
    noise = np.random.default_rng(0).normal(0, 2, clip.shape)
    assert abs(measured(clip + noise).flicker) < 0.03


@pytest.mark.parametrize("speed", [8, 12, 24])
def test_a_fast_insert_that_covers_the_picture_is_no_flicker(speed):
    assert abs(measured(with_insert(pan(0), speed)).flicker) < 0.02


@pytest.mark.parametrize(
    "clip",
    [
        lambda: pan(8) + white(0.5, 0),
        lambda: zoomed(1.02) + alternation(1),
        lambda: shaken(3, 1),
    ],
    ids=["pan", "zoom", "shake"],
)
def test_a_clip_played_backwards_reads_the_same(clip):
    frames = clip()
    assert measured(frames[::-1]).flicker == pytest.approx(measured(frames).flicker, abs=1e-3)


@pytest.mark.parametrize("trace", [alternation(1), white(1, 0)], ids=["alternation", "white"])
@pytest.mark.parametrize("speed", [1, 8])
def test_a_gain_counts_squared(speed, trace):
    clip = pan(speed) + trace
    ratio = measured(1.2 * clip).flicker / measured(clip).flicker
    assert ratio == pytest.approx(1.44, abs=0.1)


@pytest.mark.parametrize("seed", [seed for seed in range(8) if own_flicker(white(0.5, seed)) > 0.2])
def test_a_letterbox_leaves_over_a_third_of_white_flicker(seed):
    trace = white(0.5, seed)
    reading = measured(letterboxed(pan(0) + trace, 0.12))
    assert reading.flicker > own_flicker(trace) / 3


@pytest.mark.parametrize("speed", [1, 2, 4, 8])
def test_a_pan_of_which_each_frame_is_shown_twice_is_no_flicker(speed):
    assert abs(measured(held(pan(speed))).flicker) < NO_FLICKER
