"""Motion measured while a video runs: as in memory, over cuts, repeats, and any length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from flickerscope import analyze, compare
from flickerscope.motion import flicker, stream

KEPT = ("flicker", "coverage", "area", "moving", "texture", "pop", "speed", "moving_share")


def texture(height, width, seed=1):
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    picture = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / max(height, width)))
    return 128 + 30 * (picture - picture.mean()) / picture.std()


def pan(frames=40, height=80, width=112, step=1, sigma=2.0, seed=1, offset=0.0):
    """uint8: a pan by whole pixels with white flicker of the brightness."""
    wide = texture(height, width + step * frames, seed)
    level = np.random.default_rng(seed).normal(0, sigma, frames)
    moved = [wide[:, step * t : step * t + width] + level[t] + offset for t in range(frames)]
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def reading(video, **options):
    (clip,) = analyze(video, fps=24, **options).clips
    assert clip.motion is not None, clip.motion_reason
    return clip.motion


def assert_alike(ours, theirs, names=KEPT, rel=1e-4):
    for name in names:
        value, other = getattr(ours, name), getattr(theirs, name)
        if other is None:
            assert value is None, name
        else:
            assert value == pytest.approx(other, rel=rel, abs=1e-5), name


@pytest.mark.parametrize("frames", [5, 8, 19, 20, 41])
def test_a_video_reads_what_its_frames_in_memory_read(frames):
    video = pan(frames)
    ours, theirs = reading(video), flicker(torch.from_numpy(video).float(), texture=True)
    assert_alike(ours, theirs)
    assert ours.frames == theirs.frames == list(range(1, frames - 1))
    np.testing.assert_allclose(ours.series, theirs.series, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.map, theirs.map, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frames", [16, 19, 20, 21, 36, 37, 52, 60])
def test_slow_flicker_reads_across_the_chunks_what_it_reads_in_memory(frames):
    """Two frames on, two off: frames are held against those two away, beyond a chunk's ends."""
    level = np.resize([3, 3, -3, -3], frames)[:, None, None]
    video = (pan(frames, 40, 56, sigma=1) + level).clip(0, 255).astype(np.uint8)
    ours, theirs = reading(video), flicker(torch.from_numpy(video).float())
    assert ours.slow == pytest.approx(theirs.slow, rel=1e-4)
    assert ours.slow > 10
    assert ours.coarse is not None and ours.coarse.frames >= (frames - 2) // 4
    assert theirs.coarse is None


def test_texture_and_colour_are_measured_where_they_are_asked_for():
    video = pan(24, 150, 160)
    theirs = flicker(torch.from_numpy(video).float(), texture=True)
    assert reading(video).texture == pytest.approx(theirs.texture, rel=1e-4)
    assert reading(video, texture=False).texture is None
    assert reading(video).cb is None
    rgb = np.repeat(video[:, None], 3, 1)
    assert reading(rgb, planes="yuv").cb == pytest.approx(0, abs=1e-6)


def test_the_number_of_threads_changes_nothing():
    video = pan(50)
    one, three = (reading(video, threads=n) for n in (1, 3))
    assert_alike(one, three, rel=0)
    assert one.series.tolist() == three.series.tolist()


def test_a_long_shot_is_scored_in_blocks_with_the_same_result(monkeypatch):
    video = pan(180, 40, 56, step=1)
    whole = reading(video)
    monkeypatch.setattr(stream, "BLOCK", 16)
    blocks = reading(video)
    assert blocks.frames == whole.frames
    assert_alike(blocks, whole, rel=1e-6)


def test_no_triple_spans_a_cut():
    one = pan(30, seed=1, sigma=0, offset=-40)
    other = pan(30, seed=9, sigma=0, offset=40)
    both = reading(np.concatenate([one, other]))
    assert both.frames == [*range(1, 29), *range(31, 59)]
    assert both.flicker == pytest.approx(0, abs=0.08)
    assert both.pop < 1


def test_a_faster_shot_says_nothing_about_which_frames_a_slower_one_repeats():
    slow = 60 + 0.08 * (pan(40, seed=1, sigma=0).astype(np.float32) - 128)
    fast = pan(30, seed=9, sigma=0, offset=40, step=6).astype(np.float32)
    alone = reading(slow / 255)
    both = reading(np.concatenate([slow, fast]) / 255)
    assert alone.frames == list(range(1, 39))
    assert [frame for frame in both.frames if frame < 40] == alone.frames


def test_shots_that_are_too_short_are_left_out():
    parts = [pan(n, seed=abs(n + o), offset=o) for n, o in ((30, -40), (4, 40), (30, -40))]
    video = np.concatenate(parts)
    assert analyze(video, fps=24).clips[0].shots == [(0, 30), (30, 34), (34, 64)]
    assert reading(video).frames == [*range(1, 29), *range(35, 63)]


def test_repeated_frames_are_left_out():
    """A pan held for two frames each reads what the pan itself reads."""
    video = pan(40, sigma=2)
    held = np.repeat(video, 2, 0)
    (clip,) = analyze(held, fps=24, repeats="keep").clips
    assert clip.repeats == 40
    assert clip.motion is not None
    assert_alike(clip.motion, reading(video))
    assert clip.motion.frames == list(range(2, 78, 2))


def test_a_clean_pan_held_for_two_frames_reads_nothing():
    held = np.repeat(pan(24, sigma=0), 2, 0)
    assert reading(held).flicker == pytest.approx(0, abs=0.08)


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        (pan(4), "4 frames without a cut, 5 are needed"),
        (pan(20, 12, 40), "a picture of 40x12, 16 pixels are needed"),
        (np.zeros((20, 80, 112), np.uint8), "black"),
        (np.full((20, 80, 112), 255, np.uint8), "clipped"),
    ],
    ids=["short", "small", "black", "white"],
)
def test_what_cannot_be_measured_says_why(video, reason):
    (clip,) = analyze(video, fps=24).clips
    assert clip.motion is None
    assert clip.motion_reason is not None and reason in clip.motion_reason
    result = compare(video, video[::-1].copy(), fps=24)
    assert result.motion is None
    assert result.flicker_db is None


def test_motion_can_be_switched_off():
    (clip,) = analyze(pan(20), fps=24, motion=False).clips
    assert (clip.motion, clip.motion_reason) == (None, "switched off")


@pytest.mark.parametrize("shape", [(16, 16), (16, 300), (300, 16), (112, 80), (71, 90), (72, 72)])
def test_tiny_narrow_and_portrait_pictures_are_measured(shape):
    """An alternation of +-2 on a still reads 4 * 2^2, in a picture of any shape."""
    still = texture(*shape)[None].repeat(24, 0)
    video = np.rint(still) + 2 * np.where(np.arange(24) % 2, 1, -1)[:, None, None]
    result = reading(np.clip(video, 0, 255).astype(np.uint8))
    assert result.flicker == pytest.approx(16, rel=0.03)
    assert result.map.shape[0] >= 2 and result.map.shape[1] >= 2


def test_portrait_reads_what_landscape_does():
    video = pan(30)
    upright = reading(video.transpose(0, 2, 1).copy())
    assert_alike(upright, reading(video), rel=0.02)


def test_a_crop_measures_only_what_is_inside():
    video = pan(30, sigma=0)
    half = video.astype(float)
    half[:, :, 56:] += 4 * np.where(np.arange(30) % 2, 1, -1)[:, None, None]
    half = np.clip(half, 0, 255).astype(np.uint8)
    assert reading(half, crop="56x80+0+0").flicker == pytest.approx(0, abs=0.08)
    assert reading(half, crop="56x80+56+0").flicker == pytest.approx(64, rel=0.05)


def test_a_reading_is_a_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        reading(pan(8)).flicker = 1.0
