"""The clock: which frames are taken when the rate has to change, and where time is missing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flickerscope.align import Clock, take
from flickerscope.inputs.source import Frame, Plane, VideoInfo
from flickerscope.kernel import Workers
from flickerscope.measure import measure
from flickerscope.resources import pick_resources
from flickerscope.settings import FrameRange, Settings


def frames_at(times, pictures=None):
    """Frames at these times whose only pixel is their index, or with these pictures."""
    for index, time in enumerate(times):
        picture = torch.tensor([[index]]) if pictures is None else pictures[index]
        yield Frame(Fraction(time), (picture,))


def ticking(rate, count, start=0):
    """Times of a steady clock."""
    return [Fraction(i) / rate + start for i in range(count)]


def taken(ticks):
    return [int(tick.frame.planes[0]) for tick in ticks]


def decimated(fast, slow, count):
    """The clock and the frames that it takes."""
    clock = Clock(interval=Fraction(1, fast), rate=Fraction(slow))
    ticks = list(clock.run(frames_at(ticking(fast, count))))
    return clock, ticks


def test_without_a_rate_every_frame_passes_as_it_is():
    clock = Clock(interval=Fraction(1, 24))
    ticks = list(clock.run(frames_at(ticking(24, 50))))
    assert taken(ticks) == list(range(50))
    assert not any(tick.gap for tick in ticks)
    assert (clock.frames_in, clock.gaps, clock.repeated, clock.displaced) == (50, 0, 0, 0)


def test_60_to_30_takes_every_other_frame():
    clock, ticks = decimated(60, 30, 60)
    assert taken(ticks) == list(range(0, 60, 2))
    assert (clock.repeated, clock.displaced) == (0, 0)


def test_24_to_24_changes_nothing():
    clock, ticks = decimated(24, 24, 40)
    assert taken(ticks) == list(range(40))
    assert [tick.frame.time for tick in ticks] == ticking(24, 40)
    assert (clock.repeated, clock.displaced) == (0, 0)


def test_30_to_24_drops_one_frame_in_five_and_displaces_one_in_four():
    clock, ticks = decimated(30, 24, 60)
    assert len(ticks) == 48
    assert [tick.frame.time for tick in ticks] == ticking(24, 48)
    for index, tick in zip(taken(ticks), ticks, strict=True):
        off = abs(Fraction(index, 30) - tick.frame.time)
        nearest = min(abs(Fraction(i, 30) - tick.frame.time) for i in range(60))
        assert off == nearest
    dropped = set(range(60)) - set(taken(ticks))
    assert len(dropped) == 12
    # In every four ticks the frames are off by 0, 1/4, 1/2 and 1/4 of an input interval;
    # 1/2 of 1/30 s is more than 1/4 of 1/24 s, 1/4 of it is less.
    assert clock.displaced == 12
    assert clock.repeated == 0


@settings(max_examples=80, deadline=None)
@given(
    fast=st.integers(8, 120),
    slow=st.integers(4, 60),
    count=st.integers(2, 80),
)
def test_every_tick_gets_the_frame_nearest_to_it(fast, slow, count):
    clock, ticks = decimated(fast, slow, count)
    assert [tick.frame.time for tick in ticks] == ticking(slow, len(ticks))
    indices = taken(ticks)
    for index, tick in zip(indices, ticks, strict=True):
        off = abs(Fraction(index, fast) - tick.frame.time)
        assert off == min(abs(Fraction(i, fast) - tick.frame.time) for i in range(count))
    off = [abs(Fraction(i, fast) - t.frame.time) for i, t in zip(indices, ticks, strict=True)]
    assert clock.displaced == sum(d > Fraction(1, 4 * slow) for d in off)
    assert clock.repeated == len(indices) - len(set(indices))


def test_a_wandering_clock_is_put_on_an_even_one():
    rng = np.random.default_rng(0)
    times = [Fraction(i, 24) + Fraction(int(rng.integers(-9, 10)), 1000) for i in range(1, 60)]
    times[0] = Fraction(1, 24)
    clock = Clock(interval=Fraction(1, 24), rate=Fraction(24))
    ticks = list(clock.run(frames_at(times)))
    assert taken(ticks) == list(range(59))
    assert [tick.frame.time for tick in ticks] == ticking(24, 59, Fraction(1, 24))


def test_an_interval_of_more_than_one_and_a_half_is_a_gap():
    usual = Fraction(1, 24)
    for missing, gap in ((Fraction(3, 2), False), (Fraction(151, 100), True), (Fraction(2), True)):
        times = [0, usual, 2 * usual, (2 + missing) * usual, (3 + missing) * usual]
        clock = Clock(interval=usual)
        ticks = list(clock.run(frames_at(times)))
        assert [tick.gap for tick in ticks] == [False, False, False, gap, False]
        assert clock.gaps == int(gap)


@pytest.mark.parametrize("back", [0, -1, -5])
def test_time_that_stands_still_or_runs_back_is_a_gap(back):
    times = [0, 1, 2, 2 + back, 3 + back]
    clock = Clock(interval=Fraction(1))
    assert [tick.gap for tick in clock.run(frames_at(times))] == [False, False, False, True, False]


def test_a_changed_rate_starts_anew_after_a_gap():
    times = ticking(30, 20) + ticking(30, 20, start=5)
    clock = Clock(interval=Fraction(1, 30), rate=Fraction(15))
    ticks = list(clock.run(frames_at(times)))
    assert taken(ticks) == [*range(0, 20, 2), *range(20, 40, 2)]
    assert [i for i, tick in enumerate(ticks) if tick.gap] == [10]
    assert ticks[10].frame.time == 5


def test_without_a_clock_there_are_no_gaps():
    clock = Clock(interval=None)
    assert not any(tick.gap for tick in clock.run(frames_at([0, 1, 9, 10])))


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 20), stop=st.none() | st.integers(0, 40), step=st.integers(1, 5))
def test_a_range_of_frames_is_a_slice(start, stop, step):
    frames = list(frames_at(range(30)))
    chosen = list(take(frames, FrameRange(start, stop, step)))
    assert chosen == frames[start:stop:step]


class Timed:
    """A source whose frames come at given times."""

    def __init__(self, times, pictures, rate):
        self.times, self.pictures = times, pictures
        height, width = pictures[0].shape
        self.info = VideoInfo(path="timed", width=width, height=height, rate=Fraction(rate))
        self.planes = (
            Plane(name="y", height=height, width=width, dtype=torch.uint8, scale=1.0, offset=0.0),
        )

    def frames(self):
        return frames_at(self.times, self.pictures)

    def problems(self):
        return ()

    def lost(self):
        return 0


def measured(source, rate=None, **options):
    with Workers.start(pick_resources("cpu", threads=1)) as workers:
        return measure(source, Settings(**options), workers, rate=rate)[0]


def test_segments_never_cross_a_gap_in_the_timestamps():
    pictures = torch.randint(
        90, 160, (70, 8, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    times = ticking(24, 30) + ticking(24, 40, start=Fraction(31, 24))
    result = measured(Timed(times, pictures, 24), segment=16)
    clip = result.clips[0]
    assert clip.gaps == 1
    assert clip.shots == [(0, 30), (30, 70)]
    starts = clip.readings[16].starts
    assert all(start + 16 <= 30 or start >= 30 for start in starts)
    assert {start < 30 for start in starts} == {True, False}
    assert any("gap" in text for text in clip.warnings)
    times_read = clip.readings[16].times
    assert times_read == [float(times[start]) for start in starts]


def test_decimation_measures_the_frames_that_were_taken():
    pictures = torch.full((64, 8, 10), 128, dtype=torch.uint8)
    pictures[1::2] += 40  # seen at 48 frames/s only
    pictures[::4] += 2  # an alternation of 1 at 24 frames/s
    source = Timed(ticking(48, 64), pictures, 48)
    power = measured(source, rate=Fraction(24)).rungs[32].spectra["y/pixel"].mean_power
    assert power[-2:].sum() == pytest.approx(1.0, rel=0.01)
    clip = measured(source, rate=Fraction(24)).clips[0]
    assert (clip.frames, clip.frames_decoded, clip.rate) == (32, 64, 24)
