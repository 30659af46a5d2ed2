"""Shots and the segments in them: where they start, and what they never cross."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import flickerscope
from flickerscope import TooShortError
from flickerscope.segments import CutDetector, ShotSegments, frame_correlation, segment_starts

# What follows the motion has tests of its own, and costs most of the time.
analyze = partial(flickerscope.analyze, motion=False)


@pytest.mark.parametrize(
    ("frames", "length", "count"),
    [(14, 14, 1), (16, 16, 1), (25, 25, 1), (49, 32, 3), (81, 32, 5), (32, 32, 1), (33, 32, 2)],
)
def test_the_lengths_that_models_make_have_these_segments(frames, length, count):
    starts = segment_starts(frames, length)
    assert len(starts) == count
    assert starts == reference.segment_starts(frames, length)


@settings(max_examples=300, deadline=None)
@given(length=st.integers(3, 64), more=st.integers(-70, 700))
def test_segments_are_spread_evenly_and_reach_both_ends(length, more):
    frames = max(0, length + more)
    starts = segment_starts(frames, length)
    assert starts == reference.segment_starts(frames, length)
    if frames < length:
        assert starts == []
    else:
        assert (starts[0], starts[-1]) == (0, frames - length)
        assert all(0 < b - a <= length // 2 + 1 for a, b in pairwise(starts))


def streamed(frames, length, lead=0):
    """Starts as they come while frames are seen one by one, and the frames held meanwhile."""
    plan = ShotSegments(length)
    starts, held = [], 0
    for seen in range(1, frames + 1):
        settled = list(plan.extend(max(0, seen - lead)))
        starts += settled
        held = max([held, *(seen - start for start in settled), seen - plan.position])
    return starts + list(plan.finish(frames)), held


@settings(max_examples=200, deadline=None)
@given(length=st.integers(3, 64), share=st.floats(0, 3))
def test_a_shot_of_up_to_three_segments_is_divided_evenly(length, share):
    frames = int(share * length)
    assert streamed(frames, length)[0] == reference.segment_starts(frames, length)


@settings(max_examples=150, deadline=None)
@given(length=st.integers(3, 48), more=st.integers(1, 600), lead=st.sampled_from([0, 8]))
def test_a_long_shot_has_as_many_segments_close_to_the_even_ones(length, more, lead):
    frames = 3 * length + more
    starts, held = streamed(frames, length, lead)
    even = reference.segment_starts(frames, length)
    assert len(starts) == len(even)
    assert max(abs(a - b) for a, b in zip(starts, even, strict=True)) <= length / 2
    assert starts == sorted(set(starts))
    assert (starts[0], starts[-1]) == (0, frames - length)
    assert held <= 3 * length + lead + 1


@pytest.mark.parametrize("frames", [14, 49, 81, 96, 97, 150, 333])
def test_a_measurement_has_the_segments_of_its_shot(frames):
    x = np.random.default_rng(0).integers(100, 140, (frames, 6, 8), dtype=np.uint8)
    measured = analyze(x, fps=24)
    length = min(32, frames)
    starts = measured.clips[0].readings[length].starts
    assert starts == streamed(frames, length)[0]
    assert measured.rungs[length].segments == len(starts)


def joined(lengths, seed=0, noise=1.0):
    """Unrelated textures, each held for so many frames, under a little noise."""
    rng = np.random.default_rng(seed)
    textures = rng.normal(128, 40, (len(lengths), 24, 36))
    x = np.repeat(textures, lengths, axis=0)
    return (x + noise * rng.standard_normal(x.shape)).round().clip(0, 255).astype(np.uint8)


def shots_of(lengths):
    ends = np.cumsum([0, *lengths]).tolist()
    return list(pairwise(ends))


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(6, 70), min_size=1, max_size=5), segment=st.integers(8, 24))
def test_segments_never_cross_a_cut(lengths, segment):
    lengths.append(30)
    measured = analyze(joined(lengths), fps=24, segment=segment)
    assert measured.clips[0].shots == shots_of(lengths)
    reading, rung = measured.clips[0].readings[segment], measured.rungs[segment]
    for start, shot in zip(reading.starts, reading.shots, strict=True):
        first, stop = measured.clips[0].shots[shot]
        assert first <= start
        assert start + segment <= stop
    expected = [
        first + start
        for (first, _), length in zip(shots_of(lengths), lengths, strict=True)
        for start in streamed(length, segment)[0]
    ]
    assert reading.starts == expected
    short = [length for length in lengths if length < segment]
    assert (rung.skipped_shots, rung.skipped_frames) == (len(short), sum(short))


@pytest.mark.parametrize("m", [1, 2, 3, 7, 8, 9, 20, 37, 38, 39])
def test_a_cut_is_found_wherever_it_is(m):
    measured = analyze(joined([m, 40 - m]), fps=24)
    assert measured.clips[0].shots == [(0, m), (m, 40)]


def cuts_of(frames):
    """All cuts of the detector, as frames go by."""
    detector = CutDetector()
    found = [cut for _, cuts in pushed(detector, frames) for cut in cuts]
    return found + detector.flush()


def pushed(detector, frames):
    """Frames into the detector: the number of each, and the cuts that it makes certain."""
    changes = [0.0, *np.abs(np.diff(frames, axis=0)).mean((1, 2))]
    for index, (frame, change) in enumerate(zip(frames, changes, strict=True)):
        yield index, detector.push(torch.as_tensor(frame), float(change))


def test_the_detector_knows_a_cut_eight_frames_late():
    frames = joined([20, 20]).astype(np.float32)
    assert [index for index, cuts in pushed(CutDetector(), frames) if cuts] == [28]


def test_a_flash_of_half_as_much_again_is_no_cut():
    x = joined([60], noise=1.0).astype(np.float32)
    for length in (1, 3):
        flashed = x.copy()
        flashed[30 : 30 + length] = (1.5 * flashed[30 : 30 + length]).clip(0, 255)
        assert np.abs(flashed[30] - flashed[29]).mean() > 12
        assert cuts_of(flashed) == []


def test_a_fade_is_no_cut():
    texture = np.random.default_rng(1).normal(120, 35, (24, 36)).clip(0, 255)
    other = np.random.default_rng(2).normal(120, 35, (24, 36)).clip(0, 255)
    level = np.linspace(1, 0, 24)[:, None, None]
    to_black = np.concatenate([np.repeat(texture[None], 12, 0), level * texture])
    dissolve = np.concatenate([to_black[:12], level * texture + (1 - level) * other])
    for fade in (to_black, to_black[::-1].copy(), dissolve):
        assert cuts_of(fade) == []


def test_a_cut_to_or_from_a_flat_picture_is_a_cut():
    texture = np.random.default_rng(1).normal(120, 35, (24, 36)).clip(0, 255)
    x = np.concatenate([np.repeat(texture[None], 20, 0), np.zeros((20, 24, 36))])
    assert cuts_of(x) == [20]
    assert cuts_of(x[::-1].copy()) == [20]


def test_a_flat_picture_that_jumps_is_no_cut():
    x = np.repeat([40.0, 200.0], [20, 20])[:, None, None] * np.ones((1, 24, 36))
    assert cuts_of(x) == []


def test_fast_motion_alone_makes_no_cut():
    """Every frame is as unlike the one before: none stands out of its neighbours."""
    x = np.random.default_rng(3).normal(128, 40, (40, 24, 36))
    assert cuts_of(x) == []


@pytest.mark.parametrize("hold", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_fast_motion_whose_frames_are_held_makes_no_cut(hold, noise):
    """None of its new pictures stands out either; also where the video begins or ends in a hold."""
    rng = np.random.default_rng(3)
    x = rng.normal(128, 40, (60, 24, 36)).repeat(hold, 0)[:60]
    x += noise * rng.standard_normal(x.shape)
    for first, last in ((0, 60), (1, 60), (0, 59)):
        assert cuts_of(x[first:last]) == []


def test_a_cut_between_shots_whose_frames_are_held_is_one():
    rng = np.random.default_rng(3)
    shots = [texture + 3 * rng.standard_normal((10, 24, 36)) for texture in
             rng.normal(128, 40, (2, 24, 36))]  # fmt: skip
    assert cuts_of(np.concatenate(shots).repeat(3, 0)) == [30]


@pytest.mark.parametrize("lengths", [(20, 5, 20), (8, 8), (20, 4, 7, 20), (5, 30)])
def test_a_still_picture_for_some_frames_is_a_shot(lengths):
    frames = joined(lengths, noise=0.0).astype(np.float32)
    assert cuts_of(frames) == list(np.cumsum(lengths[:-1]))


def test_kept_repeats_leave_a_shot_whole():
    """Where they are dropped, there is one as well."""
    x = np.random.default_rng(3).integers(0, 256, (20, 24, 36), dtype=np.uint8).repeat(3, 0)
    kept, dropped = (analyze(x, fps=24, repeats=repeats) for repeats in ("keep", "drop"))
    assert kept.clips[0].shots == [(0, 60)]
    assert dropped.clips[0].shots == [(0, 20)]


def test_frames_correlate_from_minus_1_to_1_and_flat_ones_by_rule():
    a = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    flat = torch.full((20, 30), 7.0)
    assert frame_correlation(a, 3 * a + 5) == pytest.approx(1, rel=1e-5)
    assert frame_correlation(a, -a) == pytest.approx(-1, rel=1e-5)
    expected = np.corrcoef(a.numpy().ravel(), a.numpy()[::-1].ravel())[0, 1]
    assert frame_correlation(a, a.flip(0)) == pytest.approx(expected, abs=1e-5)
    assert frame_correlation(a, flat) == 0.0
    assert frame_correlation(flat, flat + 30) == 1.0


def test_no_shot_of_three_frames_is_too_short():
    x = joined([2, 2])
    with pytest.raises(TooShortError, match="2 in the longest shot"):
        analyze(x)
