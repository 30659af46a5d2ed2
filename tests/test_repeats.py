"""Frames that repeat the one before: held, pulled down, frozen; and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from flickerscope.repeats import REACH, find_repeats


def changes(frames, repeated):
    """Of a video that moves evenly, with some frames repeated; the first frame has none."""
    x = np.random.default_rng(0).uniform(0.9, 1.1, frames)
    x[list(repeated)] = 0
    return x[1:]


def found(x):
    return (np.flatnonzero(find_repeats(x)) + 1).tolist()


@pytest.mark.parametrize("frames", [12, 40, 300])
@pytest.mark.parametrize("hold", [2, 3, 4, 5])
def test_each_frame_held_several_times(frames, hold):
    repeated = [i for i in range(frames) if i % hold]
    assert found(changes(frames, repeated)) == repeated


@pytest.mark.parametrize("every", [4, 5, 6])
def test_one_in_several_frames_is_a_cadence_away_from_the_ends(every):
    repeated = list(range(every - 1, 120, every))
    within = [i for i in found(changes(120, repeated)) if 2 * every < i < 120 - 2 * every]
    assert within == [i for i in repeated if 2 * every < i < 120 - 2 * every]
    assert set(found(changes(120, repeated))) <= set(repeated)


def test_film_pulled_down_to_video_repeats_one_frame_in_five():
    """2:3 pulldown with whole frames: A A B B B C C D D D."""
    source = np.repeat(np.arange(40), [2, 3] * 20)
    x = np.diff(source).astype(float)
    assert found(x) == (np.flatnonzero(x == 0) + 1).tolist()


def test_a_frozen_tail_repeats():
    assert found(changes(60, range(40, 60))) == list(range(40, 60))


def test_two_small_changes_are_chance():
    assert found(changes(60, [7, 30])) == []


def test_a_video_at_rest_has_no_repeats_whatever_its_length():
    for frames in (1, 2, 60, 500):
        assert found(np.zeros(frames)) == []


def test_white_flicker_on_a_still_has_small_changes_but_no_repeats():
    level = np.random.default_rng(3).standard_normal(2000)
    assert len(found(np.abs(np.diff(level)))) < 20


def test_a_video_that_rests_and_pulses_has_no_repeats():
    """Up and down again in a row: held frames never change twice running."""
    for every in (4, 8, 16):
        level = (np.arange(120) % every == 0).astype(float)
        assert found(np.abs(np.diff(level))) == []


def test_only_frames_within_reach_have_a_say():
    x = changes(600, range(2, 100, 2))
    part = find_repeats(x[: 200 + REACH])[:200]
    assert part.tolist() == find_repeats(x)[:200].tolist()
    assert not find_repeats(x)[100 + REACH :].any()


def test_of_nothing_nothing_repeats():
    assert find_repeats([]).tolist() == []
