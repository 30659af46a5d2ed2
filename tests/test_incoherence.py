"""What is drawn anew in each frame, and what only moves too fast to be followed."""

from __future__ import annotations

import pytest
import torch
from reference import decode_luma
from torch.nn import functional

from flickerscope import compare
from flickerscope.motion import flicker, small_pictures
from flickerscope.motion.incoherence import (
    CoarseChange,
    IncoherenceReading,
    coarse_change,
    read_incoherence,
)

FRAMES = 16


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def texture(seed=0, height=72, width=128):
    """A picture with power as 1/f^2, sd 40, periodic."""
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (rows.square() + columns.square()).sqrt()
    frequency[0, 0] = 1
    spectrum = torch.fft.rfft2(random(height, width, seed=seed)) / frequency
    spectrum[0, 0] = 0
    picture = torch.fft.irfft2(spectrum, s=(height, width))
    return 128 + 40 * picture / picture.std()


def moved(video, steps):
    """Each frame moved by so many columns and rows, round the border."""
    return torch.stack(
        [frame.roll((y, x), (-2, -1)) for frame, (x, y) in zip(video, steps, strict=True)]
    )


def still(frames=FRAMES):
    return texture()[None].expand(frames, -1, -1)


def panned(speed, video=None):
    video = still() if video is None else video
    return moved(video, [(speed * t, 0) for t in range(len(video))])


def shaken(sd, video=None):
    video = still() if video is None else video
    steps = (sd * random(len(video), 2, seed=3)).round().int().tolist()
    return moved(video, steps)


def boiling(video, sd, cell=2):
    frames, rows, columns = video.shape
    noise = random(frames, 1, -(-rows // cell), -(-columns // cell), seed=4)
    noise = functional.interpolate(noise, scale_factor=cell, mode="nearest")
    return video + sd * noise[:, 0, :rows, :columns]


def jittered(video, sd, rows=2):
    """Bands of rows moved to the side at random in each frame: rows that do not cohere."""
    shifts = (sd * random(len(video), video.shape[1] // rows, seed=5)).round().int().tolist()
    bands = [
        [band.roll(s, -1) for band, s in zip(frame.split(rows), line, strict=True)]
        for frame, line in zip(video, shifts, strict=True)
    ]
    return torch.stack([torch.cat(frame) for frame in bands])


def redrawn(video):
    """Fine detail of its own in each frame, over what is coarse."""
    coarse = functional.interpolate(
        functional.avg_pool2d(video[:, None], 8), size=video.shape[1:], mode="bilinear"
    )[:, 0]
    own = torch.stack([texture(100 + t) for t in range(len(video))])
    fine = (
        own
        - functional.interpolate(
            functional.avg_pool2d(own[:, None], 8), size=video.shape[1:], mode="bilinear"
        )[:, 0]
    )
    return coarse + fine


def read(video, **options):
    with torch.inference_mode():
        return read_incoherence([coarse_change(video, **options)])


class Nowhere:
    """Nothing moves."""

    rows = 18

    def __call__(self, anchors, neighbours):
        return anchors.new_zeros(*neighbours.shape[:2], 2, *anchors.shape[1:])


def slide(speed):
    """A grating of a wavelength of 64 pixels."""
    columns = torch.arange(128.0)
    lines = [torch.sin(2 * torch.pi * (columns - speed * t) / 64) for t in range(FRAMES)]
    return 128 + 40 * torch.stack(lines)[:, None, :].expand(-1, 72, -1)


@pytest.mark.parametrize(
    ("video", "undone"),
    [
        (boiling(still(64), 20), 0.5),
        (still() + 3 * (-1.0) ** torch.arange(FRAMES)[:, None, None], 1.0),
        (still() + 2 * torch.arange(FRAMES)[:, None, None], -1.0),
        (slide(4), -torch.cos(torch.tensor(2 * torch.pi * 4 / 64)).item()),
    ],
    ids=["white", "alternation", "ramp", "grating"],
)
def test_a_change_is_undone_by_as_much_as_it_correlates_with_the_one_before_backwards(
    video, undone
):
    reading = read(video, field=Nowhere())
    assert reading.undone == pytest.approx(undone, abs=0.03)
    assert reading.left == pytest.approx(1)
    assert reading.speed == 0


@pytest.mark.parametrize("speed", [0, 3, 6, 9, 12])
def test_the_coarse_picture_is_followed_further_than_the_fine_one(speed):
    reading = read(panned(speed))
    assert reading.speed == pytest.approx(speed, abs=0.1 + 0.1 * speed)
    assert reading.left < 0.3 or speed == 0
    assert not reading.redrawn


DRAWN_ANEW = {
    "boils": boiling(still(), 20),
    "boils in larger cells": boiling(still(), 20, 4),
    "pans and boils": boiling(panned(1), 30),
    "shakes and boils": boiling(shaken(1), 30),
    "rows": jittered(still(), 5),
    "pans, rows": jittered(panned(1), 5),
    "texture": redrawn(still()),
    "pans, texture": redrawn(panned(1)),
}


@pytest.mark.parametrize("video", DRAWN_ANEW.values(), ids=DRAWN_ANEW)
def test_what_boils_or_does_not_cohere_is_redrawn(video):
    assert read(video).redrawn


FAST = {f"pan {speed}": panned(speed) for speed in (6, 9, 12, 15)} | {
    f"shake {sd}": shaken(sd) for sd in (3, 6, 12)
}


@pytest.mark.parametrize("video", FAST.values(), ids=FAST)
def test_what_is_only_fast_is_not_redrawn(video):
    assert not read(video).redrawn


def test_what_stands_still_is_not_redrawn():
    reading = read(still())
    assert (reading.undone, reading.speed) == pytest.approx((0, 0), abs=1e-4)
    assert not reading.redrawn


@pytest.mark.parametrize(
    ("left", "undone", "speed"), [(0.39, 0.5, 1.0), (0.8, 0.34, 1.0), (0.8, 0.5, 7.1)]
)
def test_each_of_the_three_signs_can_speak_against_it(left, undone, speed):
    assert not IncoherenceReading(left=left, undone=undone, speed=speed, frames=9).redrawn


def test_pieces_that_overlap_by_two_frames_join_to_the_whole():
    video = boiling(panned(2), 5)
    whole = coarse_change(video)
    joined = CoarseChange.join([coarse_change(video[:10]), coarse_change(video[8:])])
    for name in ("still", "along", "product", "speed", "inside"):
        torch.testing.assert_close(getattr(joined, name), getattr(whole, name), rtol=1e-3, atol=0.1)
    assert read_incoherence([]) is None


def test_every_fourth_frame_says_the_same():
    video = boiling(panned(2, still(40)), 20)
    all_of_them, some = read(video), read(video, every=4)
    assert (all_of_them.frames, some.frames) == (38, 10)
    assert some.left == pytest.approx(all_of_them.left, abs=0.05)
    assert some.undone == pytest.approx(all_of_them.undone, abs=0.05)


def verdict(video, ref):
    """Of the whole program, on pictures as they are, not in step with each other."""
    pred, reference = (x.clamp(0, 255) / 255 for x in (video, ref))
    return compare(pred, reference, fps=24, paired=False, texture=False).verdict


def test_a_real_clip_that_boils_is_incoherent_and_a_faster_one_is_not(media):
    luma = torch.as_tensor(decode_luma(media("real/exo/bear_vp9.webm"))).float()
    ref = small_pictures(luma[:20])
    assert verdict(boiling(ref, 30), ref) == "incoherent"
    assert verdict(jittered(ref, 6), ref) == "incoherent"
    for fast in (small_pictures(luma[::4][:20]), panned(9, ref), panned(12, ref), shaken(6, ref)):
        assert flicker(fast).coverage < 0.3
        assert verdict(fast, ref) == "not measurable"


def test_no_edited_clip_at_hand_is_incoherent(media):
    """By eye on x-t slices all of them can be followed, with some shimmer."""
    for folder in ("anyv2v_man_hat", "anyv2v_robot_couple"):
        ref, pred = (
            small_pictures(torch.as_tensor(decode_luma(media(f"pairs/{folder}/{name}"))).float())
            for name in ("ref.mp4", "gen_flatten.mp4")
        )
        assert verdict(pred, ref) != "incoherent"
