"""Videos that hold their frames: told from those that pause, and measured at their own rate."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flickerscope import Comparison, Measurement, analyze, compare
from flickerscope.inputs.source import Frame
from flickerscope.repeats import Held, find_held, find_repeats
from flickerscope.video import encode

AMPLITUDE, SIZE = 4.0, (64, 96)


def moving(frames: int, fps: float, flicker_hz: float = 0.0, seed: int = 0) -> Any:
    """A smooth texture that passes sideways, with a flicker of known amplitude; uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = SIZE
    x, y = np.arange(columns), np.arange(rows)[:, None]
    waves = [(*rng.uniform(-0.5, 0.5, 2), rng.uniform(0, 7)) for _ in range(12)]
    level = AMPLITUDE * np.sin(2 * np.pi * flicker_hz * np.arange(frames) / fps + 1)
    film = np.stack(
        [
            sum(np.cos(a * (x - 24 / fps * t) + b * y + c) for a, b, c in waves) * 12 + 128
            for t in range(frames)
        ]
    )
    return (film + (level[:, None, None] if flicker_hz else 0)).round().clip(0, 255).astype("u1")


def doubled(film: Any, times: int = 2) -> Any:
    return film.repeat(times, axis=0)


def pulled_down(film: Any, pattern: tuple[int, ...] = (1, 1, 1, 2)) -> Any:
    """Whole frames repeated in turn: 24 to 30 frames/s by 1, 1, 1, 2, to 60 by 2, 3."""
    counts = np.resize(pattern, len(film))
    return film.repeat(counts, axis=0)


def powers(result: Measurement) -> Any:
    (rung,) = result.rungs.values()
    return np.concatenate([spectrum.mean_power for spectrum in rung.spectra.values()])


def measured(film: Any, fps: Any, **options: Any) -> Measurement:
    return analyze(film, fps=fps, device="cpu", motion=False, **options)


def held_of(counts: list[int]) -> Held | None:
    """Of frames that are shown so many times each."""
    flags = np.array([i > 0 for count in counts for i in range(count)], dtype=bool)
    return find_held(flags, 1.0 * ~flags, np.cumsum(~flags)[:, None] + np.zeros((1, 4)))


@pytest.mark.parametrize("frames", [12, 40, 200])
@pytest.mark.parametrize(
    ("pattern", "ratio"),
    [
        ((2,), "1/2"),
        ((3,), "1/3"),
        ((4,), "1/4"),
        ((2, 3), "2/5"),
        ((1, 1, 1, 2), "4/5"),
        ((1, 1, 1, 1, 2), "5/6"),
        ((1, 2), "2/3"),
    ],
)
def test_a_cadence_has_the_ratio_of_its_new_frames(
    frames: int, pattern: tuple[int, ...], ratio: str
) -> None:
    for turn in range(len(pattern)):
        counts = np.resize(pattern[turn:] + pattern[:turn], frames).tolist()
        found = held_of(counts)
        assert found is not None
        if len(counts) >= 40 or len(pattern) == 1:
            assert found.ratio == Fraction(ratio)


def test_a_video_that_pauses_or_holds_for_a_part_of_the_time_has_one_rate() -> None:
    assert held_of([1] * 100) is None
    assert held_of([1] * 60 + [40]) is None
    assert held_of([1] * 60 + [2] * 30) is None
    assert held_of([1] * 20 + [2] + [1] * 20) is None
    assert held_of([]) is None


def test_frames_held_without_a_ratio_are_left_as_they_are() -> None:
    assert held_of([2, 1, 3, 1, 1, 2, 1, 1, 2, 2, 1, 2, 1] * 10) is None
    assert held_of(np.random.default_rng(0).choice([1, 1, 1, 5], 400).tolist()) is None


def test_a_few_stills_one_after_the_other_have_no_lower_rate() -> None:
    assert held_of([7, 9, 5]) is None
    assert held_of([16, 5, 16, 5]) is None
    assert held_of([1] * 16 + [5]) is None


def test_small_changes_by_chance_are_no_repeats_whatever_their_number() -> None:
    """Short shots of white flicker: beside the cuts many of its changes are small."""
    rng = np.random.default_rng(4)
    shots = [
        128 + 40 * rng.standard_normal((1, *SIZE)) + rng.normal(0, 3, (8, 1, 1)) for _ in range(8)
    ]
    film = np.concatenate(shots).round().clip(0, 255).astype("u1")
    (clip,) = measured(film, 24).clips
    assert (clip.rate, clip.frames) == (24, 64)


def test_an_alternation_whose_states_last_is_flicker_not_a_hold() -> None:
    for hold in (2, 3, 4):
        flags = np.arange(80) % hold > 0
        states = np.arange(80) // hold % 2
        assert find_held(flags, 1.0 * ~flags, states[:, None] * np.ones((1, 4))) is None
    film = 120 + 8 * (np.arange(64) // 2 % 2)[:, None, None] * np.ones((1, *SIZE))
    assert measured(film.astype("u1"), 24).rate == 24


def test_a_cadence_reaches_to_the_ends_of_a_shot() -> None:
    for phase in range(1, 6):
        x = np.random.default_rng(1).uniform(0.9, 1.1, 60)
        x[phase::5] = 0.01
        assert np.flatnonzero(find_repeats(x)).tolist() == list(range(phase, 60, 5))


def test_new_frames_are_evenly_apart_and_a_gap_stays_one() -> None:
    interval, blank = Fraction(1, 24), torch.zeros(1, 1)

    def frames() -> Iterator[Frame]:
        for i in range(20):
            late = Fraction(5, 24) if i >= 10 else 0
            yield Frame(i * interval + late, (blank,))

    held = Held(frozenset(range(1, 20, 2)), Fraction(1, 2))
    times = [frame.time for frame in held.new(frames(), interval)]
    steps = [b - a for a, b in pairwise(times)]
    assert steps[:4] == steps[5:] == [Fraction(1, 12)] * 4
    assert steps[4] > Fraction(3, 2) * Fraction(1, 12)


@pytest.mark.parametrize(("times", "fps"), [(2, 24), (3, 30), (4, Fraction(30000, 1001))])
def test_a_video_of_which_each_frame_is_held_reads_what_its_new_frames_do(
    times: int, fps: int | Fraction
) -> None:
    film = moving(40, float(fps / times), flicker_hz=float(fps / times) * 0.375)
    alone, held = measured(film, Fraction(fps) / times), measured(doubled(film, times), fps)
    np.testing.assert_array_equal(powers(held), powers(alone))
    (clip,) = held.clips
    assert clip.rate == Fraction(fps) / times
    assert (clip.frames, clip.frames_decoded, clip.repeats) == (40, 40 * times, 40 * (times - 1))
    assert any("frames repeat the one before: left out" in note for note in clip.notes)
    assert not any("repeat" in text for text in clip.warnings)


@pytest.mark.parametrize(
    ("pattern", "stored"), [((1, 1, 1, 2), 30), ((2, 3), 60), ((1, 1, 1, 1, 2), Fraction(144, 5))]
)
def test_film_pulled_down_to_video_reads_what_the_film_does(
    pattern: tuple[int, ...], stored: int | Fraction
) -> None:
    film = moving(80, 24, flicker_hz=9)
    alone, video = measured(film, 24), measured(pulled_down(film, pattern), stored)
    assert video.rate == 24
    assert video.clips[0].frames == 80
    np.testing.assert_array_equal(powers(video), powers(alone))
    kept = measured(pulled_down(film, pattern), stored, repeats="keep")
    assert kept.rate == stored
    assert any("takes power from the highest frequencies" in t for t in kept.clips[0].warnings)


def test_repeats_are_found_after_lossy_compression(tmp_path: Path) -> None:
    film = moving(48, 12, flicker_hz=4.5)
    paths = tmp_path / "film.mp4", tmp_path / "held.mp4", tmp_path / "telecine.mp4"
    encode(paths[0], iter(film), rate=12, options={"crf": "20"})
    encode(paths[1], iter(doubled(film)), rate=24, options={"crf": "20"})
    encode(paths[2], iter(pulled_down(film)), rate=15, options={"crf": "20"})
    alone, *others = (analyze(path, device="cpu", motion=False) for path in paths)
    for video in others:
        assert video.rate == 12
        assert video.clips[0].frames == 48
        bands = [result.rungs[32].spectra["y/global"].mean_power for result in (video, alone)]
        np.testing.assert_allclose(bands[0][8:], bands[1][8:], rtol=0.05, atol=0.02)


def test_a_hold_of_two_that_is_kept_empties_the_highest_frequencies() -> None:
    """White noise through a hold of 2: its density times 1 + cos 2 pi f, 0.36 in HF."""
    noise = 128 + 8 * np.random.default_rng(3).standard_normal((40, *SIZE))
    film = np.repeat(noise.round().clip(0, 255).astype("u1"), 2, axis=0)[1:-1]
    new, kept = measured(film, 24), measured(film, 24, repeats="keep")
    assert new.clips[0].repeats == kept.clips[0].repeats == 38
    hf = [
        float(side.transform(32).weights.numpy()[2] @ side.rungs[32].spectra["y/pixel"].mean_power)
        for side in (new, kept)
    ]
    assert hf[1] / hf[0] == pytest.approx(0.36, abs=0.03)


@pytest.fixture(scope="module")
def film() -> Any:
    return moving(80, 24)


def compared(pred: Any, ref: Any, fps: Any = 24, **options: Any) -> Comparison:
    return compare(pred, ref, fps=fps, device="cpu", motion=False, **options)


def test_a_prediction_that_holds_each_frame_meets_every_second_frame_of_its_reference(
    film: Any,
) -> None:
    result = compared(doubled(film[::2]), film)
    assert {row.excess_db for row in result.table} == {0.0}
    assert result.pred.rate == result.ref.rate == 12
    assert any(note.startswith("12 and 24 frames/s: the faster one") for note in result.notes)
    kept = compared(doubled(film[::2]), film, repeats="keep")
    assert abs(kept.energy_db) > 3


def test_both_held_alike_are_in_step(film: Any) -> None:
    result = compared(doubled(film), doubled(film), fps=48)
    assert result.paired is not None
    assert result.pred.clips[0].frames == 80
    assert {row.excess_db for row in result.table} == {0.0}


def test_a_pulled_down_prediction_meets_its_film_at_the_rate_of_the_film(
    film: Any, tmp_path: Path
) -> None:
    for name, frames, rate in (("ref", film, 24), ("pred", pulled_down(film), 30)):
        encode(tmp_path / f"{name}.mkv", iter(frames), rate=rate, codec="ffv1")
    for pred, ref in (("pred", "ref"), ("ref", "pred")):
        sides = [tmp_path / f"{name}.mkv" for name in (pred, ref)]
        result = compare(*sides, device="cpu", motion=False)
        assert result.pred.rate == result.ref.rate == 24
        assert {row.excess_db for row in result.table} == {0.0}
        assert result.paired is not None
        assert not any("decimated" in note for note in result.notes)


def test_a_prediction_is_never_decimated_because_its_reference_holds_frames(film: Any) -> None:
    """Every second frame of an alternation is constant: decimated, it would not show at all."""
    flicker = film.astype(int) + (2 * (np.arange(80) % 2) - 1)[:, None, None] * 3
    pred = flicker.clip(0, 255).astype("u1")
    result = compared(pred, doubled(film[::2]))
    assert result.pred.rate == result.ref.rate == 24
    (nyquist,) = [r for r in result.table if (r.scale, r.band) == ("global", "NYQ")]
    assert nyquist.pred_power == pytest.approx(9, rel=0.15)
    assert any("ref: 40 of 80 frames repeat the one before" in text for text in result.warnings)


def test_a_saved_reference_that_is_faster_than_the_new_frames_stays(film: Any) -> None:
    saved = measured(film, 24, ladder=True)
    result = compared(doubled(film[::2]), saved)
    assert result.pred.rate == 24
    assert any("repeat the one before" in text for text in result.warnings)
    slow = measured(film[::2], 12, ladder=True)
    assert compared(doubled(film[::2]), slow).energy_db == 0


def test_paired_readings_that_are_asked_for_keep_the_frames(film: Any) -> None:
    result = compared(doubled(film[::2]), film, paired=True)
    assert result.paired is not None
    assert result.pred.clips[0].frames == 80


def test_a_range_of_frames_is_taken_before_repeats_are_left_out(film: Any) -> None:
    result = measured(doubled(film), 48, frames="10:90")
    np.testing.assert_array_equal(powers(result), powers(measured(film[5:45], 24)))


def test_a_hold_that_begins_with_a_cut_loses_no_new_frame(film: Any) -> None:
    other = moving(40, 24, seed=9)
    film = np.concatenate([film[:40], other])
    alone, held = measured(film, 24), measured(doubled(film), 48)
    assert held.clips[0].shots == alone.clips[0].shots
    np.testing.assert_array_equal(powers(held), powers(alone))


def test_the_motion_is_that_of_the_new_frames() -> None:
    film = moving(32, 12, flicker_hz=4.5)
    alone, held = (
        analyze(frames, fps=fps, device="cpu", texture=False).clips[0].motion
        for frames, fps in ((film, 12), (doubled(film), 24))
    )
    assert alone is not None
    assert held is not None
    assert held.flicker == pytest.approx(alone.flicker, rel=1e-6)
    assert held.flicker > 1


@pytest.mark.parametrize("name", ["opensora1.0_2024-03/sample_0", "opensora1.1_2024-04/sora_27"])
def test_generated_clips_stored_at_10_frames_a_second_have_8_new_ones(
    media: Any, name: str
) -> None:
    """16 frames made at 8 frames/s, in a GIF of 20: every fifth one is exactly the one before."""
    result = analyze(media(f"gen/{name}.gif"), device="cpu", motion=False)
    (clip,) = result.clips
    assert (clip.rate, clip.frames, clip.repeats) == (8, 16, 4)


@pytest.mark.parametrize("name", ["patterns/iris/3Hz_6s.mp4", "patterns/iris/2Hz_5s_at5fps.mp4"])
def test_flashes_whose_states_last_keep_their_rate(media: Any, name: str) -> None:
    (clip,) = analyze(media(name), device="cpu", motion=False).clips
    assert clip.rate == clip.info.rate


@pytest.mark.parametrize("shots", [(8,) * 4, (5,) * 6, (8,) * 8, (16,)])
def test_white_flicker_is_hardly_ever_taken_for_held_frames(shots: tuple[int, ...]) -> None:
    """By chance frames change by little now and then, but not at an even pace."""
    random = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        levels = [random.normal(0, 3, frames) for frames in shots]
        changes = [np.append(0, np.abs(np.diff(level))) for level in levels]
        flags = [np.append(False, find_repeats(change[1:])) for change in changes]
        pictures = np.concatenate(levels)[:, None]
        found += find_held(np.concatenate(flags), np.concatenate(changes), pictures) is not None
    assert found <= 1
