"""From the moments of tiles to the reading of a clip: closed forms, frequencies, invariances."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from moving import (
    MEAN,
    alternation,
    constant,
    flash,
    measured,
    own_flicker,
    pan,
    shaken,
    shifted,
    step,
    white,
    zoomed,
)
from numpy.testing import assert_allclose
from scipy import ndimage

from flickerscope.errors import InputError, TooShortError
from flickerscope.motion import (
    BandMoments,
    LucasKanade,
    SlowFlicker,
    TileBand,
    TileFlicker,
    TileMoments,
    flicker,
    frame_flicker,
    read_motion,
    small_pictures,
    tile_flicker,
    tile_moments,
    weighted_quantile,
)
from flickerscope.motion.pictures import shrink
from flickerscope.motion.reading import tile_weights
from flickerscope.motion.score import running_mean, single_events

# Weighted quantiles and running means


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 100])
@pytest.mark.parametrize("q", [0.0, 0.1, 0.25, 0.5, 0.75, 0.97, 1.0])
def test_with_equal_weights_a_quantile_is_that_of_hazen(count, q):
    x = np.random.default_rng(count).standard_normal((3, count))
    found = weighted_quantile(torch.from_numpy(x), torch.full((3, count), 0.7).double(), q)
    assert_allclose(found, np.quantile(x, q, axis=-1, method="hazen"), atol=1e-12)


@pytest.mark.parametrize(
    ("q", "value"),
    [(0.0, 10), (0.125, 10), (0.3125, 15), (0.5, 20), (0.6875, 30), (0.875, 40), (1.0, 40)],
)
def test_a_quantile_is_linear_between_the_middles_of_the_weights(q, value):
    # Weights 1, 2, 1 of 4: their middles lie at 1/8, 1/2 and 7/8.
    x, weights = numbers(40, 10, 20), numbers(1, 1, 2)
    assert weighted_quantile(x, weights, q).item() == pytest.approx(value)


def test_values_without_weight_do_not_count_whatever_they_are():
    x = numbers(math.nan, 3, math.inf, 1, -math.inf, 2, 1e9)
    weights = numbers(0, 1, 0, 1, 0, 1, 0)
    for q, value in [(0, 1), (0.5, 2), (1, 3)]:
        assert weighted_quantile(x, weights, q).item() == value


def test_where_nothing_has_weight_there_is_no_quantile():
    x = torch.arange(6.0).view(2, 3)
    found = weighted_quantile(x, torch.tensor([[0.0, 0, 0], [0, 1, 0]]), 0.5)
    assert found.isnan().tolist() == [True, False]
    assert found[1] == 4


def test_the_scale_of_the_weights_does_not_matter():
    rng = np.random.default_rng(0)
    x, weights = torch.from_numpy(rng.random((2, 50)))
    found = weighted_quantile(x, weights, 0.3)
    assert weighted_quantile(x, 1e6 * weights, 0.3).item() == pytest.approx(found.item())


@pytest.mark.parametrize(("length", "taps"), [(40, 9), (9, 9), (10, 9), (8, 7), (5, 5), (4, 3)])
def test_running_means_are_centred_repeat_the_ends_and_fit_the_length(length, taps):
    x = np.random.default_rng(0).standard_normal((2, length, 3, 4))
    found = running_mean(torch.from_numpy(x), 9)
    assert_allclose(found, ndimage.uniform_filter1d(x, taps, axis=1, mode="nearest"), atol=1e-12)


def test_the_running_mean_of_one_or_two_frames_is_themselves():
    for length in (1, 2):
        x = torch.rand(length, 2, 2)
        assert torch.equal(running_mean(x, 9), x)


# Tiles


def moments_of(x, *, mean=MEAN, inside=1.0):
    """Moments of still tiles of brightness ``x``, (time, rows, columns)."""
    x = torch.from_numpy(np.array(x))
    plus, minus = x[2:] - x[1:-1], x[1:-1] - x[:-2]
    return TileMoments(
        inside=torch.full_like(plus, inside),
        mean=torch.full_like(plus, mean),
        speed=torch.zeros_like(plus),
        luma=BandMoments(plus * plus, minus * minus, plus * minus, plus + minus),
    )


def everywhere(trace, tiles=(3, 4)):
    """A brightness over time, for all tiles."""
    return np.broadcast_to(np.asarray(trace, float).reshape(-1, 1, 1), (np.size(trace), *tiles))


def test_white_flicker_of_tiles_reads_its_variance():
    variance = 2.25
    x = np.random.default_rng(0).normal(0, math.sqrt(variance), (200, 40, 50))
    luma = tile_flicker(moments_of(x)).luma
    assert luma.flicker.mean() == pytest.approx(variance, rel=0.02)
    assert luma.mean.mean() == pytest.approx(variance, rel=0.02)


def test_flicker_and_error_are_those_of_the_formulas():
    x = np.cumsum(np.random.default_rng(0).standard_normal((60, 3, 4)), axis=0)
    x += np.random.default_rng(1).standard_normal(x.shape)

    def mean(z):
        return ndimage.uniform_filter1d(z, 9, axis=0, mode="nearest")

    plus, minus = x[2:] - x[1:-1], x[1:-1] - x[:-2]
    sums, differences = (plus + minus - 2 * mean((plus + minus) / 2)) ** 2, (plus - minus) ** 2
    c, left = mean((differences - sums) / 4), mean(sums / 2)
    luma = tile_flicker(moments_of(x), usual=torch.ones(58, dtype=torch.bool)).luma
    assert_allclose(luma.flicker, (differences - sums) / 4, atol=1e-9)
    assert_allclose(luma.mean, c, atol=1e-9)
    assert_allclose(luma.error, (left - c.clip(min=0)).clip(min=0), atol=1e-9)


@pytest.mark.parametrize("frames", [5, 8, 24, 60])
def test_an_alternation_reads_four_times_its_square_and_no_error(frames):
    luma = tile_flicker(moments_of(everywhere(alternation(1.5, frames)))).luma
    assert_allclose(luma.flicker, 4 * 1.5**2, rtol=1e-9)
    assert_allclose(luma.mean, 4 * 1.5**2, rtol=1e-9)
    assert_allclose(luma.error, 0, atol=1e-9)


@pytest.mark.parametrize("slope", [0.5, 6.0])
def test_a_ramp_is_neither_flicker_nor_error(slope):
    luma = tile_flicker(moments_of(everywhere(slope * np.arange(40)))).luma
    assert_allclose(luma.flicker, 0, atol=1e-9)
    assert_allclose(luma.error, 0, atol=1e-9)


def test_a_random_walk_is_next_to_no_flicker():
    # d+ and d- have nothing in common. Of steps of variance 1, y = d+ + d- has the variance 2, and
    # its mean m over 9 frames, <y m> = 4/9 and <m m> = 34/81: as trend, that is taken off S.
    steps = np.random.default_rng(0).standard_normal((200, 40, 50))
    luma = tile_flicker(moments_of(np.cumsum(steps, axis=0))).luma
    trend = (2 * 4 / 9 - 34 / 81) / 4
    assert luma.flicker[8:-8].mean() == pytest.approx(trend, abs=0.02)


def test_the_two_sides_of_white_flicker_are_independent():
    # d+ + d- does not hold the middle frame, and d+ - d- weighs both neighbours alike: what is
    # taken for an error says nothing about the flicker of the same frame.
    luma = moments_of(np.random.default_rng(0).standard_normal((50, 40, 50))).luma
    squares = luma.plus + luma.minus
    both = torch.stack([(squares + 2 * luma.product)[::3], (squares - 2 * luma.product)[::3]])
    assert abs(np.corrcoef(both.flatten(1))[0, 1]) < 0.02


@pytest.mark.parametrize(
    "changed",
    [{"mean": 5.9}, {"mean": 249.1}, {"inside": 0.49}],
    ids=["black", "clipped", "leaving"],
)
def test_tiles_that_cannot_be_seen_do_not_count(changed):
    x = everywhere(alternation(1, 24))
    hidden, seen = tile_flicker(moments_of(x, **changed)), tile_flicker(moments_of(x))
    for name in ("share", "counts", "shown"):
        assert torch.count_nonzero(getattr(hidden, name)) == 0, name
        assert torch.all(getattr(seen, name) == 1), name


@pytest.mark.parametrize(("inside", "share"), [(0.5, 0.5), (0.75, 0.75), (1.0, 1.0)])
def test_a_tile_counts_for_the_share_of_it_that_stays_in_the_frame(inside, share):
    tiles = tile_flicker(moments_of(everywhere(alternation(1, 24)), inside=inside))
    for name in ("share", "counts", "shown"):
        assert_allclose(getattr(tiles, name), share, rtol=1e-12, err_msg=name)
    assert_allclose(tiles.luma.flicker, 4, rtol=1e-9)


def test_a_tile_that_is_hidden_for_a_while_counts_for_the_frames_around():
    moments = moments_of(everywhere(alternation(1, 32)))
    moments.inside[14] = 0
    tiles = tile_flicker(moments)
    assert torch.all(tiles.shown[14] == 0) and torch.all(tiles.counts[14] == 0)
    assert_allclose(tiles.share[10:19], 8 / 9, rtol=1e-12)
    assert_allclose(tiles.counts[[10, 13, 15, 18]], 8 / 9, rtol=1e-12)
    assert_allclose(tiles.luma.mean, 4, rtol=1e-9)


def test_the_step_is_that_to_the_next_frame_and_of_the_first_one_the_larger_of_both():
    trace = np.array([0.0, 5, 7, 7, 4, 4])
    assert_allclose(tile_flicker(moments_of(everywhere(trace))).step[:, 0, 0], [25, 0, 9, 0])
    trace[1] = 1
    assert_allclose(tile_flicker(moments_of(everywhere(trace))).step[:, 0, 0], [36, 0, 9, 0])


def events_in(x):
    """Frames that are left out as part of single events."""
    moments = moments_of(x)
    return (1 + torch.nonzero(single_events(moments.luma, moments.inside))[:, 0]).tolist()


@pytest.mark.parametrize(("size", "found"), [(3.9, []), (4.1, [11, 12]), (-40, [11, 12])])
def test_a_step_of_the_whole_picture_that_stands_alone_is_an_event(size, found):
    assert events_in(everywhere(step(size, 12))) == found


def test_a_flash_of_the_whole_picture_that_stands_alone_is_an_event():
    assert events_in(everywhere(flash(20, 12))) == [11, 12, 13]


@pytest.mark.parametrize(("at", "found"), [(1, [1]), (23, [22])])
def test_a_step_is_an_event_at_the_ends_too(at, found):
    assert events_in(everywhere(step(40, at))) == found


@pytest.mark.parametrize("period", [2, 3, 4, 5, 6, 8])
def test_pulses_that_come_again_within_eight_frames_are_no_single_events(period):
    assert events_in(everywhere(20 * (np.arange(60) % period == 0))) == []


def test_pulses_that_come_again_after_more_are_single_events():
    pulses = 20 * (np.arange(60) % 24 == 12)
    assert events_in(everywhere(pulses)) == [11, 12, 13, 35, 36, 37]


def test_a_step_of_less_than_half_of_the_picture_is_no_single_event():
    x = everywhere(np.zeros(24), (4, 6)).copy()
    x[12:, :, :2] = 40
    assert events_in(x) == []


def test_strong_flicker_is_no_single_event():
    assert events_in(everywhere(alternation(20, 24))) == []
    # The usual change is 4, and that of the step is 4 more than its size: 4 times 4 is the limit.
    assert events_in(everywhere(alternation(2, 24) + step(11.9, 12))) == []
    assert events_in(everywhere(alternation(2, 24) + step(12.1, 12))) == [11, 12]


def test_what_happens_three_times_within_eight_frames_on_each_side_is_no_single_event():
    thrice = step(40, 4) + step(40, 12) + step(40, 20)
    # Of the first and the last, only one more is within reach.
    assert events_in(everywhere(thrice)) == [3, 4, 19, 20]
    apart = step(40, 3) + step(40, 12) + step(40, 21)
    assert events_in(everywhere(apart)) == [2, 3, 11, 12, 20, 21]


def test_flicker_around_a_step_is_read_as_if_there_were_none():
    frames = everywhere(alternation(1, 24) + step(40, 12))
    tiles = tile_flicker(moments_of(frames))
    beside = torch.zeros(22, dtype=torch.bool)
    beside[10:12] = True  # frames 11 and 12 of 1 to 22
    assert torch.equal((tiles.counts == 0)[:, 0, 0], beside)
    assert_allclose(tiles.luma.flicker[~beside], 4, rtol=1e-9)
    assert_allclose(tiles.luma.mean, 4, rtol=1e-9)
    kept = tile_flicker(moments_of(frames), usual=torch.ones(22, dtype=torch.bool))
    assert torch.all(kept.counts == 1)
    assert not np.allclose(kept.luma.mean, 4, rtol=0.5)


# The reading of tiles


def tiles_of(value, *, frames=12, error=0.0, mean=None, share=1.0, counts=None, **others):
    """Tiles that read ``value``, (rows, columns) or with frames before, as all else is."""
    shape = (frames, *np.shape(value)[-2:])

    def plane(x):
        return torch.from_numpy(np.broadcast_to(np.asarray(x, float), shape).copy())

    return TileFlicker(
        share=plane(share),
        counts=plane(share if counts is None else counts),
        shown=plane(others.pop("shown", share)),
        speed=plane(others.pop("speed", 0)),
        step=plane(others.pop("step", 0)),
        luma=TileBand(plane(value), plane(value if mean is None else mean), plane(error)),
        **others,
    )


def reading_of(value, **others):
    pooled = frame_flicker(tiles_of(value, **others))
    reading = read_motion([pooled], range(1, 1 + len(pooled.flicker)))
    assert reading is not None
    return reading


CORNER = np.zeros((5, 8))
CORNER[:2, :5] = 1
"""A quarter of the tiles."""


def at_times(values):
    """One value for each frame, for all tiles."""
    return np.reshape(values, (-1, 1, 1))


def test_the_reading_of_a_frame_is_the_median_of_its_tiles():
    values = np.arange(40.0).reshape(5, 8)
    assert reading_of(values).flicker == pytest.approx(np.median(values))


def test_the_reading_of_a_clip_is_the_mean_over_its_frames():
    # A tenth of the frames flickers by 30: no median over all of them would tell.
    strength = np.where(np.arange(20) < 2, 30.0, 0)
    values = at_times(strength) * np.ones((5, 8))
    assert reading_of(values, frames=20).flicker == pytest.approx(3)


def test_frames_that_do_not_count_have_no_say():
    counts = at_times(np.arange(12) != 3)
    values = np.where(counts, 2.0, 1e3) * np.ones((5, 8))
    reading = reading_of(values, counts=counts)
    assert reading.flicker == pytest.approx(2)
    assert_allclose(reading.map, 2)
    assert np.isnan(reading.series).tolist() == (np.arange(12) == 3).tolist()


def test_frames_of_fewer_than_four_tiles_are_not_read():
    counts = np.zeros((12, 5, 8))
    counts[:, 0, :4] = 1
    counts[5, 0, 0] = 0
    series = reading_of(np.ones((5, 8)), counts=counts).series
    assert np.flatnonzero(np.isnan(series)).tolist() == [5]
    assert read_motion([frame_flicker(tiles_of(np.ones((5, 8)), counts=0))], range(12)) is None


def test_a_tile_weighs_by_its_error_but_by_no_less_than_the_median_error():
    error, counts = numbers(0, 1, 2, 5, 8, 1e6).view(2, 3), numbers(1, 1, 1, 0.5, 1, 0).view(2, 3)
    # The last one does not count: the median of the others is 2.
    expected = numbers(1 / 2.3**2, 1 / 2.3**2, 1 / 2.3**2, 0.5 / 5.3**2, 1 / 8.3**2, 0).view(2, 3)
    assert_allclose(tile_weights(counts, error), expected)


def test_tiles_that_are_not_followed_have_no_say():
    # The 16 with the largest values of 40.
    values, error = np.arange(40.0).reshape(5, 8), np.where(np.arange(40) < 24, 0, 1e4)
    reading = reading_of(values, error=error.reshape(5, 8))
    assert reading.flicker == pytest.approx(11.5, abs=0.01)


@pytest.mark.parametrize("still", [0.25, 0.45])
def test_still_tiles_do_not_outvote_a_majority_that_flickers(still):
    flickers = (np.arange(40) >= 40 * still).reshape(5, 8)
    # The error of white flicker is about as large as its flicker.
    reading = reading_of(np.where(flickers, 4.0, 0), error=np.where(flickers, 4.0, 0))
    assert reading.flicker == pytest.approx(4)


@pytest.mark.parametrize(("error", "coverage"), [(3.9, 1), (4.1, 0.75)])
@pytest.mark.parametrize("value", [0, 5, -5])
def test_coverage_is_the_share_of_which_the_error_is_small(value, error, coverage):
    reading = reading_of(value * CORNER, error=error * CORNER)
    assert reading.coverage == pytest.approx(coverage)


def test_coverage_counts_what_is_not_seen_as_not_covered():
    assert reading_of(np.zeros((5, 8)), share=1 - CORNER).coverage == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("value", "error", "area"), [(0.24, 0, 0), (0.26, 0, 0.25), (2, 1.9, 0.25), (2, 2.1, 0)]
)
def test_area_is_the_share_that_flickers_and_by_more_than_half_of_its_sum_with_the_error(
    value, error, area
):
    # Of the running mean, whatever single frames say.
    reading = reading_of(0 * CORNER, mean=value * CORNER, error=error * CORNER)
    assert reading.area == pytest.approx(area)


def test_moving_is_the_median_over_time_of_that_of_the_fifth_that_moves_most_against_the_rest():
    values, speed = np.zeros((5, 8)), np.full((5, 8), 1.0)
    values[0], speed[0] = np.arange(1, 9), 3.0
    strength = at_times(np.r_[np.zeros(5), np.full(6, 2.0), 50])
    reading = reading_of(strength * values, speed=speed)
    assert reading.moving == pytest.approx(2 * np.median(np.arange(1, 9)))
    assert reading.flicker == 0
    assert (reading.speed, reading.moving_share) == (1, 1)


def test_where_nothing_moves_against_the_rest_there_is_no_such_reading():
    assert reading_of(np.ones((5, 8)), speed=np.full((5, 8), 7.0)).moving is None
    assert reading_of(np.ones((5, 8)), speed=0.29 * CORNER).moving is None
    assert reading_of(np.ones((5, 8)), speed=0.31 * CORNER).moving == 1


def test_speed_is_a_median_and_the_moving_share_of_what_moves_a_tenth_of_a_pixel():
    reading = reading_of(np.zeros((5, 8)), speed=0.11 * CORNER + 0.09 * (1 - CORNER))
    assert reading.speed == pytest.approx(0.09)
    assert reading.moving_share == pytest.approx(0.25)


def test_the_pop_is_the_largest_step_above_the_usual_one():
    steps = np.array([1.0, 2, 1, 1, 30, 1, 5, 1])
    shown = at_times(np.arange(8) != 6)
    reading = reading_of(np.zeros((5, 8)), frames=8, step=at_times(steps), shown=shown)
    assert reading.pop == 29
    assert_allclose(reading.steps, np.where(shown.ravel(), steps, np.nan))
    unknown = reading_of(np.zeros((5, 8)), frames=8, step=at_times(steps), shown=0)
    assert unknown.pop is None


def test_the_step_is_that_of_the_quiet_tiles_and_those_of_single_events_count():
    restless = 1e4 * (np.arange(40) < 16).reshape(5, 8)
    steps = np.where(restless > 0, 500.0, at_times(np.where(np.arange(12) == 6, 400.0, 0)))
    reading = reading_of(
        np.zeros((5, 8)), error=restless, step=steps, counts=at_times(np.arange(12) != 6)
    )
    assert reading.pop == pytest.approx(400, abs=0.1)


def test_map_and_series_are_those_of_the_tiles_and_the_frames():
    values, means = np.arange(40.0).reshape(5, 8), np.arange(40.0).reshape(5, 8) / 2
    share = np.ones((5, 8))
    share[0, 0] = 0
    reading = reading_of(values, mean=means, share=share)
    assert_allclose(reading.map, np.where(share > 0, values, np.nan), rtol=1e-9)
    assert_allclose(reading.series, np.median(means[share > 0]), rtol=1e-9)
    assert reading.frames == list(range(1, 13))


def test_runs_are_read_as_one_after_the_other():
    runs = [tiles_of(4 * CORNER, frames=6), tiles_of(8 * CORNER, frames=10)]
    reading = read_motion([frame_flicker(run) for run in runs], range(16))
    assert reading is not None
    assert_allclose(reading.map, CORNER * (6 * 4 + 10 * 8) / 16)
    assert len(reading.series) == len(reading.steps) == len(reading.frames) == 16


def test_slow_flicker_is_the_mean_over_the_frames_in_which_it_is_known():
    known = at_times(np.arange(12) % 11 > 0) * np.ones((5, 8))
    values = at_times(np.where(np.arange(12) < 7, 6.0, 1.0)) * np.ones((5, 8))
    slow = SlowFlicker(
        counts=torch.from_numpy(known),
        flicker=torch.from_numpy(np.where(known, values, 1e3)),
        error=torch.zeros(12, 5, 8).double(),
    )
    reading = reading_of(np.zeros((5, 8)), slow=slow)
    assert reading.slow == pytest.approx((6 * 6 + 4 * 1) / 10)
    assert reading_of(np.zeros((5, 8))).slow is None


def test_black_pictures_have_no_reading():
    tiles = tile_flicker(moments_of(everywhere(alternation(1, 24)), mean=0.0))
    assert read_motion([frame_flicker(tiles)], range(1, 23)) is None
    with pytest.raises(InputError, match="black"):
        measured(constant(3.0))


# The frequency response


def spoken(trace, **options):
    """The reading of a flat picture of this brightness over time."""
    return measured(MEAN + np.asarray(trace).reshape(-1, 1, 1) * np.ones((16, 24)), **options)


@pytest.mark.parametrize("cycles", [1 / 9, 2 / 9, 1 / 3, 4 / 9])
def test_a_sinusoid_reads_as_its_frequency_weighs(cycles):
    # The differences of A cos(wt) have power (2 - 2 cos w) A^2 / 2, and cos w of it as product
    # of neighbours. At whole cycles in the 9 frames of the running means it leaves no trend.
    w, amplitude = 2 * np.pi * cycles, 4.0
    expected = (2 - 2 * np.cos(w)) * -np.cos(w) * amplitude**2 / 2
    trace = amplitude * np.cos(w * np.arange(182) + 0.3)
    assert spoken(trace).flicker == pytest.approx(expected, abs=0.03 * amplitude**2 / 2)


@pytest.mark.parametrize("cycles", [0.15, 1 / 6, 0.3, 0.35, 0.4, 0.45])
def test_between_them_the_trend_takes_its_part(cycles):
    # C = (D - S) / 4 with D = (2 - 2 cos w)^2 A^2 / 2 and S = (2 sin w)^2 A^2 / 2; the running
    # mean leaves sin(9 w / 2) / (9 sin(w / 2)) of a sinusoid, which is taken off S as trend.
    w, amplitude = 2 * np.pi * cycles, 4.0
    left = np.sin(9 * w / 2) / (9 * np.sin(w / 2))
    differences, sums = (2 - 2 * np.cos(w)) ** 2, (2 * np.sin(w) * (1 - left)) ** 2
    trace = amplitude * np.cos(w * np.arange(182) + 0.3)
    series = spoken(trace).series
    assert series[8:-8].mean() == pytest.approx(
        (differences - sums) * amplitude**2 / 8, abs=0.03 * amplitude**2 / 2
    )


@pytest.mark.parametrize("cycles", [1 / 9, 2 / 9, 1 / 4, 1 / 3, 4 / 9, 1 / 2])
def test_slow_flicker_of_a_sinusoid_reads_as_its_frequency_weighs(cycles):
    # Two frames apart C weighs A^2 / 2 with (2 - 2 cos 2w)(-cos 2w). L is half of what is left of
    # (f[t+2] - f[t-2])^2 = (2 sin 2w)^2 A^2 / 2, and three quarters of it are taken off. At a
    # quarter and a half cycle there is no such sum; at the others, whole cycles in the 9 frames
    # of the running means leave no trend.
    w, amplitude = 2 * np.pi * cycles, 4.0
    weight = (2 - 2 * np.cos(2 * w)) * -np.cos(2 * w) - 0.75 * (2 * np.sin(2 * w)) ** 2 / 2
    trace = amplitude * np.cos(w * np.arange(184) + 0.3)
    power = amplitude**2 / 2 if cycles < 1 / 2 else (trace**2).mean()
    assert spoken(trace).slow == pytest.approx(weight * power, abs=0.03 * amplitude**2 / 2)


@pytest.mark.parametrize("frames", [5, 8, 24])
def test_two_frames_on_and_two_off_read_four_times_their_square(frames):
    # By less than a single event: in five frames there is no telling them apart.
    trace = np.resize([1.5, 1.5, -1.5, -1.5], frames)
    assert spoken(trace).slow == pytest.approx(4 * 1.5**2, rel=1e-4)


def test_slow_flicker_is_measured_beside_a_step():
    # Frames whose neighbours at one or two frames are beyond the step do not count.
    trace = np.resize([1.0, 1, -1, -1], 40) + 40 * (np.arange(40) >= 20)
    assert spoken(trace).slow == pytest.approx(4, rel=0.05)


def test_long_white_flicker_of_the_whole_picture_reads_its_variance():
    for sd in (0.5, 2.0):
        trace = white(sd, seed=0, frames=600)
        assert spoken(trace).flicker == pytest.approx(own_flicker(trace), rel=0.03)


def test_white_flicker_of_every_draw_reads_what_the_trace_has():
    draws = np.stack([white(0.5, seed) for seed in range(50)])
    readings = flicker(torch.from_numpy(MEAN + draws * np.ones((16, 24))).float())
    for reading, draw in zip(readings, draws, strict=True):
        assert reading.flicker == pytest.approx(own_flicker(draw), abs=0.08)


@pytest.mark.parametrize("seed", range(3))
def test_strong_flicker_of_a_still_picture_is_measurable(seed):
    # Below a coverage of 0.3 it would be called not measurable.
    assert spoken(white(8, seed, frames=100)).coverage > 0.3


# Clips


@pytest.mark.parametrize("frames", [3, 4])
def test_too_few_frames_are_refused(frames):
    with pytest.raises(TooShortError, match=f"{frames} frames"):
        flicker(torch.full((frames, 72, 96), MEAN))


@pytest.mark.parametrize("size", [(15, 400), (400, 15)])
def test_too_small_frames_are_refused(size):
    with pytest.raises(InputError, match="16"):
        flicker(torch.full((8, *size), MEAN))


@pytest.mark.parametrize("frames", [5, 8])
def test_a_few_frames_are_enough_for_an_alternation(frames):
    still, moving = pan(0)[:frames], pan(4)[:frames]
    assert abs(measured(still).flicker) < 1e-3
    assert abs(measured(moving).flicker) < 0.08
    for clip in (still, moving):
        assert measured(clip + alternation(1, frames)).flicker == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize("size", [(16, 16), (16, 40), (40, 16)])
def test_tiny_pictures_are_measured(size):
    clip = small_pictures(torch.from_numpy(pan(0).copy())).numpy()[:, : size[0], : size[1]]
    assert abs(measured(clip).flicker) < 1e-3
    assert measured(clip + alternation(1)).flicker == pytest.approx(4, rel=0.03)


def test_a_still_picture_is_covered_everywhere_and_has_no_speed():
    reading = measured(pan(0))
    assert reading.speed == pytest.approx(0, abs=1e-4)
    assert reading.moving_share == reading.area == 0
    assert reading.pop == pytest.approx(0, abs=1e-6)
    assert reading.coverage == pytest.approx(1)


@pytest.mark.parametrize("speed", [4, 8])
def test_the_speed_is_in_pixels_of_a_picture_of_72_rows(speed):
    assert measured(pan(speed)).speed == pytest.approx(speed / 4, abs=0.05)


MOVING_AND_FLICKERING = {
    "pan": lambda: pan(8) + white(0.5, 0),
    "zoom": lambda: zoomed(1.02) + alternation(1),
    "shake": lambda: shaken(3, 1),
}


@pytest.fixture(params=MOVING_AND_FLICKERING, scope="module")
def clip(request):
    return np.asarray(MOVING_AND_FLICKERING[request.param](), np.float32)


@pytest.fixture(scope="module")
def reading(clip):
    return measured(clip)


def test_measuring_twice_reads_the_same_and_leaves_the_frames_alone(clip, reading):
    frames = torch.from_numpy(clip)
    kept = frames.clone()
    assert flicker(frames).flicker == reading.flicker
    assert torch.equal(frames, kept)


def test_a_constant_that_is_added_changes_nothing(clip, reading):
    # Within what is neither black nor clipped.
    assert measured(0.5 * clip + 50).flicker == pytest.approx(
        measured(0.5 * clip + 70).flicker, abs=1e-3
    )


def test_a_mirrored_clip_reads_the_same(clip, reading):
    assert measured(clip[:, :, ::-1]).flicker == pytest.approx(reading.flicker, abs=1e-3)
    assert measured(clip[:, ::-1]).flicker == pytest.approx(reading.flicker, abs=1e-3)


def test_a_clip_played_backwards_reads_the_same_but_for_its_order(clip, reading):
    backwards = measured(clip[::-1])
    assert backwards.flicker == pytest.approx(reading.flicker, abs=1e-3)
    assert backwards.coverage == pytest.approx(reading.coverage, abs=0.01)
    assert_allclose(backwards.series[::-1], reading.series, atol=5e-3)


def test_a_clip_on_its_side_reads_about_the_same(clip, reading):
    # Medians of the motion along rows and then columns are not those the other way round.
    upright = measured(clip.transpose(0, 2, 1))
    assert upright.flicker == pytest.approx(reading.flicker, abs=0.02)
    assert upright.coverage == pytest.approx(reading.coverage, abs=0.02)


def test_double_precision_reads_the_same(clip, reading):
    assert flicker(torch.from_numpy(clip).double()).flicker == pytest.approx(
        reading.flicker, abs=1e-3
    )


def test_bytes_read_as_the_floats_of_the_same_values():
    clip = np.round(pan(1) + alternation(2)).clip(0, 255)
    assert flicker(torch.from_numpy(clip.astype(np.uint8))).flicker == measured(clip).flicker


@pytest.mark.parametrize("gain", [0.5, 1.2, 3.0])
def test_flicker_of_a_flat_picture_counts_by_the_square_of_a_gain(gain):
    pure, mixed = alternation(1), alternation(1) + white(0.5, 0)
    assert spoken(gain * pure).flicker == pytest.approx(gain**2 * spoken(pure).flicker, rel=1e-4)
    # The weights of the frames have a floor of 0.3 code^2, which no gain changes.
    assert spoken(gain * mixed).flicker == pytest.approx(gain**2 * spoken(mixed).flicker, rel=0.02)


def test_a_batch_of_clips_reads_as_each_alone():
    clips = np.stack([pan(8) + white(0.5, 0), pan(0) + step(40)]).astype(np.float32)
    colours = torch.from_numpy(np.stack([clips, 255 - clips], 2)[..., ::2, ::2].copy())
    together = flicker(torch.from_numpy(clips), chroma=colours, texture=True)
    assert len(together) == 2
    for found, clip, planes in zip(together, clips, colours, strict=True):
        alone = measured(clip, chroma=planes, texture=True)
        for name in ("flicker", "coverage", "area", "texture", "cb", "cr", "speed"):
            assert getattr(found, name) == pytest.approx(getattr(alone, name), abs=1e-3), name
        assert found.pop == pytest.approx(alone.pop, rel=1e-3, abs=1e-3)
        assert_allclose(found.series, alone.series, atol=2e-3)


# The motion that is given


class Pan:
    """Knows that the picture moves left by so many of its pixels a frame."""

    rows = 72

    def __init__(self, speed):
        self.speed = speed

    def __call__(self, anchors, neighbours):
        motion = torch.zeros(*neighbours.shape[:2], 2, *neighbours.shape[2:])
        motion[0, :, 0], motion[1, :, 0] = -self.speed, self.speed
        return motion


@pytest.mark.parametrize("speed", [1, 2, 2.5, 6, 10])
def test_with_the_true_motion_a_pan_without_aliases_reads_nothing(speed):
    # What the second difference leaves of bilinear sampling is of the fourth order: of a wave of
    # k radians a pixel at most 0.008 k^4, and of that the blur leaves exp(-1.1 k^2): 0.3 % of it.
    clip = shifted(speed * np.arange(24), finest=1 / 8)
    reading = measured(clip, field=Pan(speed / 4))
    assert abs(reading.flicker) < 0.005
    assert reading.speed == pytest.approx(speed / 4)
    flickering = measured(clip + alternation(1), field=Pan(speed / 4))
    assert flickering.flicker == pytest.approx(4, rel=0.01)


def test_a_motion_that_is_wrong_is_an_error_and_no_flicker():
    reading = measured(pan(0), field=Pan(2))
    assert reading.flicker < 0
    assert reading.coverage < 0.3


def test_motion_in_larger_pictures_is_more_exact():
    coarse, fine = (measured(zoomed(1.02), field=LucasKanade(rows=rows)) for rows in (72, 144))
    assert abs(fine.flicker) < abs(coarse.flicker)


# Chroma


def chroma(cb, cr, size=(144, 208)):
    """Cb and Cr from two brightnesses over time."""
    planes = [np.reshape(x, (-1, 1, 1)) * np.ones(size) for x in (cb, cr)]
    return torch.from_numpy(128 + np.stack(planes, 1)).float()


def test_flicker_of_either_chroma_is_read_back_and_leaves_luma_alone():
    still, colours = pan(1), chroma(alternation(2), 0 * alternation())
    reading, alone = measured(still, chroma=colours), measured(still)
    assert reading.cb == pytest.approx(16, rel=0.01)
    assert reading.cr == pytest.approx(0, abs=1e-3)
    assert reading.flicker == alone.flicker
    assert alone.cb is None and alone.cr is None
    other = measured(still, chroma=colours.flip(1))
    assert (other.cb, other.cr) == pytest.approx((reading.cr, reading.cb), abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_white_flicker_of_chroma_reads_what_the_traces_have(seed):
    cb, cr = white(0.5, seed), white(0.5, 100 + seed)
    reading = measured(pan(0), chroma=chroma(cb, cr))
    assert reading.cb == pytest.approx(own_flicker(cb), abs=0.08)
    assert reading.cr == pytest.approx(own_flicker(cr), abs=0.08)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_gray_strip_does_not_outvote_colours_that_flicker(seed):
    trace = white(2, seed)
    whole = chroma(trace, trace)
    part = whole.clone()
    part[:, :, :29] = 128  # a fifth of 144 rows
    reading, full = (measured(pan(0), chroma=colours) for colours in (part, whole))
    assert reading.cb > 0.9 * full.cb
    assert reading.cr > 0.9 * full.cr


@pytest.mark.parametrize("speed", [1, 8])
def test_colours_that_move_with_the_picture_do_not_flicker(speed):
    clip = pan(speed)
    colours = torch.from_numpy(np.stack([clip, 256 - clip], 1))
    reading = measured(clip, chroma=colours)
    assert abs(reading.cb) < 0.08 and abs(reading.cr) < 0.08


# Texture


@cache
def natural(share):
    """A 1/f picture with a share of the power of its detail new in each frame."""
    pictures = textures()
    smooth = ndimage.gaussian_filter(pictures, (0, 2, 2), mode="mirror")
    detail = pictures - smooth
    # As much of it in each picture, by what the pixels beside have in common in the band.
    band = band_of_texture(detail)
    detail *= np.sqrt(100 / (band * beside(band)).mean((1, 2), keepdims=True))
    still, fresh = detail[:1], detail[1:]
    clip = smooth[:1] + math.sqrt(1 - share) * still + math.sqrt(share) * fresh
    clip = clip.astype(np.float32)
    clip.flags.writeable = False
    return clip


@cache
def textures():
    """25 pictures of 144 rows that have nothing to do with each other."""
    pictures = np.concatenate([shifted(np.zeros(1), seed=seed) for seed in range(25)])
    return small_pictures(torch.from_numpy(pictures), 144).numpy()


def band_of_texture(clip):
    """What lies above a Gaussian of 2 pixels."""
    smooth = ndimage.gaussian_filter(clip, (0, 2, 2), mode="mirror", radius=(0, 6, 6))
    return clip.astype(float) - smooth


def beside(x):
    """Mean of the four pixels beside each one; the border is repeated."""
    return ndimage.convolve(x, [[[0, 1, 0], [1, 0, 1], [0, 1, 0]]], mode="nearest") / 4


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 1.0])
def test_the_moments_of_texture_are_products_with_the_pixels_beside(share):
    clip = natural(share)
    detail = torch.from_numpy(clip.copy())
    still = torch.zeros(22, 2, 72, 104)
    moments = tile_moments(small_pictures(detail), still, still, detail=detail).texture
    band = band_of_texture(clip)
    plus, minus, at = band[2:] - band[1:-1], band[1:-1] - band[:-2], band[1:-1]

    def tiles(x):
        return x.reshape(22, 9, 16, 13, 16).mean((2, 4))

    assert_allclose(moments.product, tiles(plus * beside(minus)), rtol=1e-3, atol=0.01)
    assert_allclose(moments.detail, tiles(at * beside(at)).clip(min=0), rtol=1e-3, atol=0.01)
    # What is renewed has with its neighbours in common what all of the detail has.
    assert -moments.product.mean() == pytest.approx(100 * share, rel=0.05, abs=1e-3)


def test_texture_reads_by_the_share_that_is_renewed():
    # Tiles in which more is renewed weigh less, so that it reads below the share, not above.
    readings = {share: measured(natural(share), texture=True).texture for share in (0, 0.1, 0.4)}
    assert readings[0] == pytest.approx(0, abs=1e-6)
    assert readings[0.4] == pytest.approx(4 * readings[0.1], rel=0.1)
    for share in (0.1, 0.4):
        assert share / 2 < readings[share] < share


@pytest.mark.parametrize("sd", [1, 4])
def test_grain_drops_out_of_the_texture(sd):
    # Its power alone would read sd^2 over that of the detail: 0.05 at 4. All that it has in common
    # with the pixels beside is what the Gaussian of the band makes, G * G - 2 G, which is negative.
    still = natural(0)
    grain = np.random.default_rng(0).normal(0, sd, still.shape).astype(np.float32)
    assert (band_of_texture(grain) * beside(band_of_texture(grain))).mean() < 0
    assert measured(still + grain, texture=True).texture == 0
    gray = np.full_like(still, 128.0)
    assert measured(gray + grain, texture=True).texture == 0


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_a_still_fifth_leaves_four_fifths_of_texture_that_is_renewed(share):
    clip = natural(share)
    part = clip.copy()
    part[:, :29] = clip[0, :29]  # a fifth of 144 rows
    whole = measured(clip, texture=True).texture
    assert measured(part, texture=True).texture == pytest.approx(0.8 * whole, rel=0.06)


def test_texture_of_a_still_and_of_a_moving_picture_is_not_renewed():
    assert measured(pan(0), texture=True).texture == pytest.approx(0, abs=1e-6)
    assert abs(measured(pan(4), texture=True).texture) < 0.02


def test_texture_is_measured_where_it_is_asked_for_and_there_are_rows_enough():
    clip = natural(0.4)
    assert measured(clip).texture is None
    assert measured(clip[:, :143], texture=True).texture is None


def test_texture_leaves_the_luminance_as_it_is():
    clip = pan(8) + white(0.5, 0)
    with_texture, without = (measured(clip, texture=texture) for texture in (True, False))
    assert with_texture.flicker == pytest.approx(without.flicker, abs=1e-4)


# Moments


def smooth_luma(frames):
    """The band in which luminance is measured."""
    x = frames.numpy()
    return ndimage.gaussian_filter(x, (0, 1.5, 1.5), mode="mirror", radius=(0, 5, 5))


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float64, 1e-9), (torch.float32, 2e-5)])
def test_moments_are_means_over_the_pixels_of_each_tile(dtype, rounding):
    frames = torch.from_numpy(np.random.default_rng(0).normal(MEAN, 10, (3, 24, 33)))
    still = torch.zeros(1, 2, 24, 33, dtype=dtype)
    moments = tile_moments(frames.to(dtype), still, still)
    before, at, after = smooth_luma(frames)
    plus, minus = after - at, at - before

    def tiles(x):
        return x[:24, :32].reshape(3, 8, 4, 8).mean((1, 3))[None]

    assert_allclose(moments.luma.plus, tiles(plus**2), rtol=rounding)
    assert_allclose(moments.luma.minus, tiles(minus**2), rtol=rounding)
    assert_allclose(moments.luma.product, tiles(plus * minus), rtol=rounding, atol=rounding)
    assert_allclose(moments.luma.change, tiles(plus + minus), rtol=rounding, atol=rounding)
    assert_allclose(moments.mean, tiles(frames.numpy()[1]), rtol=rounding)
    assert_allclose(moments.inside, 1)
    assert_allclose(moments.speed, 0)


def test_pixels_that_leave_the_frame_do_not_count():
    frames = torch.from_numpy(np.random.default_rng(0).normal(MEAN, 10, (3, 16, 24)))
    forward = torch.zeros(1, 2, 16, 24, dtype=torch.float64)
    forward[:, 0] = 3.0
    moments = tile_moments(frames, forward, -forward)
    assert_allclose(moments.inside[0], [[5 / 8, 1, 5 / 8]] * 2)
    assert_allclose(moments.speed, 3)
    # The frame before lies 3 to the left: of the first tile it shows 5 columns.
    _, at, after = smooth_luma(frames)
    plus = after[:8, 6:11] - at[:8, 3:8]
    assert moments.luma.plus[0, 0, 0] == pytest.approx((plus**2).mean())


def test_compiled_loops_take_the_moments_that_torch_takes_in_double_precision():
    detail = torch.from_numpy((pan(4) + white(0.5, 0))[:6, :140, :200].astype(np.float32))
    frames = shrink(detail, 2)
    forward = torch.linspace(-9, 9, 4 * 2 * 70 * 100).view(4, 2, 70, 100)
    single = tile_moments(frames, forward, -forward, detail=detail)
    double = tile_moments(
        frames.double(), forward.double(), -forward.double(), detail=detail.double()
    )
    for name in ("inside", "mean", "speed"):
        assert_allclose(getattr(single, name), getattr(double, name), rtol=1e-5, atol=0.02)
    for band in ("luma", "texture"):
        for name in ("plus", "minus", "product", "change"):
            ours, theirs = (getattr(getattr(m, band), name) for m in (single, double))
            assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    assert_allclose(single.texture.detail, double.texture.detail, rtol=1e-3, atol=0.05)


@pytest.mark.cuda
def test_a_gpu_reads_what_the_processor_reads(cuda_device):
    clip = torch.from_numpy((pan(4) + white(0.5, 0)).astype(np.float32))
    colours = torch.stack([clip, 256 - clip], 1)
    there = flicker(clip.to(cuda_device), chroma=colours.to(cuda_device), texture=True)
    here = flicker(clip, chroma=colours, texture=True)
    for name in ("flicker", "coverage", "area", "texture", "cb", "cr", "pop", "speed"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=0.01, abs=5e-3), name
    assert_allclose(there.series, here.series, atol=0.01)
    assert_allclose(there.map, here.map, atol=0.05)
