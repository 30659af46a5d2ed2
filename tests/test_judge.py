"""What is said in words: flicker, motion, colour, and the ways in which words could mislead."""

from __future__ import annotations

import numpy as np
import pytest

from flickerscope import SettingsError, compare
from flickerscope.video import encode

RNG = np.random.default_rng(5)


def texture(height=64, width=96, sd=30.0, seed=1):
    """1/f texture around mid-grey, (height, width) float."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    picture = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / max(height, width)))
    return 128 + sd * (picture - picture.mean()) / picture.std()


def pixels(frames):
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def still(frames=64):
    return pixels(np.repeat(texture()[None], frames, 0))


def panning(step, frames=64):
    wide = texture(64, 96 + step * frames)
    return pixels(np.stack([wide[:, step * t : step * t + 96] for t in range(frames)]))


def test_a_prediction_that_only_moves_beside_a_still_reference_is_not_said_to_flicker():
    result = compare(panning(2), still(), fps=24)
    assert result.excess_db > 3
    assert result.verdict == "more high-frequency energy"


def test_a_frozen_prediction_of_a_moving_reference_is_not_said_to_flicker_less():
    result = compare(still(), panning(2), fps=24)
    assert result.excess_db < -3
    assert result.verdict == "less high-frequency energy"


def test_white_flicker_over_a_still_reference_is_said_to_flicker_more_and_swapped_less():
    flicker = np.random.default_rng(2).normal(0, 2, (64, 1, 1))
    pred = pixels(still() + flicker)
    assert compare(pred, still(), fps=24).verdict == "flickers more"
    assert compare(still(), pred, fps=24).verdict == "flickers less"


def test_slow_change_is_no_flicker_even_in_the_headline_band():
    slow = 8 * np.sin(2 * np.pi * np.arange(64) / 24)[:, None, None]
    result = compare(pixels(still() + slow), still(), fps=24, primary="LF")
    assert result.excess_db > 3
    assert "flickers" not in result.verdict


def test_flicker_below_the_headline_band_is_named_with_its_band():
    tone = 4 * np.sin(2 * np.pi * 6 / 32 * np.arange(64))[:, None, None]
    result = compare(pixels(still() + tone), still(), fps=24)
    assert result.verdict == "flickers more"
    assert "in MF" in result.basis


def test_flicker_of_colour_that_luma_does_not_see_is_warned_of():
    gray = np.repeat(texture(32, 48, sd=15.0)[None], 40, 0)
    sign = np.where(np.arange(40) % 2, 20.0, -20.0)[:, None, None]
    # Equal and opposite in luma: 0.7152 G + 0.0722 B stays.
    rgb = np.stack([gray, gray - sign * 0.0722 / 0.7152, gray + sign], 1) / 255
    calm = np.stack([gray, gray, gray], 1) / 255
    result = compare(rgb, calm, fps=24, planes="yuv")
    assert abs(result.excess_db) < 0.1
    assert any(text.startswith("Cb has +") for text in result.warnings)


@pytest.mark.parametrize("frames", [8, 20])
def test_identical_videos_of_shots_of_one_length_do_not_differ(frames):
    """None of the shots reaches 32 frames, and all of them count on both sides."""
    shots = [
        pixels(texture(seed=s)[None] + np.random.default_rng(s).normal(0, 3, (frames, 1, 1)))
        for s in range(4)
    ]
    video = np.concatenate(shots)
    result = compare(video, video.copy(), fps=24)
    assert result.segment == frames
    assert (result.pred_rung.segments, result.ref_rung.segments) == (4, 4)
    assert {row.excess_db for row in result.table} == {0.0}
    assert result.pred_rung.skipped_shots == 0


def test_segments_too_short_to_take_the_bias_from_have_no_coherence():
    video = pixels(texture()[None] + RNG.normal(0, 3, (40, 1, 1)))
    paired = compare(video, video.copy(), fps=24, segment=8).paired
    assert paired is not None
    assert paired.segments >= 3
    assert paired.coherence is None
    assert "14 frames" in (paired.note or "")


@pytest.mark.parametrize("value", [0, 255], ids=["black", "white"])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_short_black_or_white_flash_is_flicker_and_no_cut(value, length):
    video = still(96)
    for start in range(10, 90, 16):
        video[start : start + length] = value
    result = compare(video, still(96), fps=24)
    assert result.pred.clips[0].shots == [(0, 96)]
    assert result.excess_db > 20


def test_a_cut_to_black_and_to_another_scene_is_still_a_cut():
    video = np.concatenate([still(40), np.zeros((40, 64, 96), np.uint8)])
    assert compare(video, video, fps=24).pred.clips[0].shots == [(0, 40), (40, 80)]


def test_an_array_meets_a_file_at_the_rate_that_it_is_given(tmp_path):
    frames = pixels(texture()[None] + RNG.normal(0, 2, (40, 1, 1)))
    path = tmp_path / "ref.mkv"
    encode(path, frames, rate=24, codec="ffv1", pixel_format="gray")
    result = compare(frames, path, fps=24)
    assert result.excess_db == pytest.approx(0, abs=1e-6)
    assert result.paired is not None
    unknown = compare(frames, path)
    assert any("frame rate of pred is not known" in note for note in unknown.notes)
    with pytest.raises(SettingsError, match="fps"):
        compare(path, path, fps=24)
