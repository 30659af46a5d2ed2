"""A prediction along the motion of its reference: flicker that destroys its own tracking."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from reference import decode_luma

from flickerscope import compare
from flickerscope.motion import neighbour_motion, small_pictures
from flickerscope.motion.carried import carried_moments, carried_tiles, read_carried
from flickerscope.motion.moments import TileMoments
from flickerscope.tracks import KeptMotion

FRAMES = 24
BLURRED = 1 / (4 * math.pi * 1.5**2)
"""Variance that is left of white noise of variance 1 under a Gaussian of 1.5 pixels."""


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


def panned(picture, speed, frames=FRAMES):
    """A pan by whole pixels a frame."""
    return torch.stack([picture.roll(speed * t, -1) for t in range(frames)])


def boiling(video, sd, seed=1):
    """White noise in every pixel of the small pictures, drawn anew in each frame."""
    return video + sd * random(*video.shape, seed=seed)


def read(pred, ref):
    with torch.inference_mode():
        return read_carried([carried_tiles(carried_moments(pred, ref))])


def test_a_video_against_itself_has_nothing_unexplained():
    video = panned(texture(), 1)
    reading = read(video, video)
    assert reading.unexplained == 0
    assert reading.flicker == reading.ref_flicker
    assert (reading.area, reading.agreement, reading.own_power) == (0, 1, 1)
    assert reading.coverage == reading.own_coverage > 0.9
    assert reading.triples == FRAMES - 2
    assert reading.valid


@pytest.mark.parametrize("speed", [0, 1, 2])
def test_an_alternation_reads_four_times_its_square_and_exactly_so_in_the_difference(speed):
    ref = panned(texture(), speed)
    alternation = (-1.0) ** torch.arange(FRAMES)[:, None, None]
    reading = read(ref + alternation, ref)
    assert reading.unexplained == pytest.approx(4, abs=1e-3)
    assert reading.flicker == pytest.approx(4, rel=0.05)
    assert abs(reading.ref_flicker) < 0.08
    assert reading.area == 1


@pytest.mark.parametrize("speed", [0, 1])
def test_boiling_that_destroys_the_tracking_reads_its_variance_along_the_references_motion(speed):
    ref = panned(texture(), speed)
    reading = read(boiling(ref, 60), ref)
    assert reading.coverage > 0.9
    assert reading.own_coverage < 0.4
    assert reading.flicker == pytest.approx(60**2 * BLURRED, rel=0.15)
    assert reading.unexplained == pytest.approx(60**2 * BLURRED, rel=0.15)
    assert reading.valid


def test_content_does_not_count_as_unexplained_where_it_moves_alike():
    """An edit: other texture, the same motion."""
    reading = read(panned(texture(5), 1), panned(texture(), 1))
    assert abs(reading.unexplained) < 0.08
    assert reading.area < 0.1
    assert reading.valid


def test_flicker_that_both_share_cancels():
    ref = boiling(panned(texture(), 1), 12)
    reading = read(ref + 10, ref)
    assert reading.unexplained == pytest.approx(0, abs=1e-3)
    assert reading.flicker > 1
    assert reading.coherence == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("gain", "own", "coherence"),
    [(1, 0, 1.0), (2, 0, 1.0), (1, 1, 0.5), (0, 1, 0.0), (2, 2, 0.5), (1, 2, 0.2)],
)
def test_coherence_is_the_share_of_the_flicker_that_copies_the_references(gain, own, coherence):
    """Copied with a gain, and flicker of its own: ``gain^2 / (gain^2 + own^2)``."""
    still = panned(texture(), 0)
    shared, fresh = 12 * random(*still.shape, seed=2), 12 * random(*still.shape, seed=3)
    reading = read(still + gain * shared + own * fresh, still + shared)
    assert reading.coherence == pytest.approx(coherence, abs=0.07)


def test_coherence_is_not_told_unless_both_flicker():
    """Two clean videos share content and errors of motion, and no flicker."""
    clean = panned(texture(), 2)
    assert read(0.8 * clean + 20, clean).coherence is None
    assert read(boiling(clean, 30), clean).coherence is None
    assert read(clean, boiling(clean, 8)).coherence is None


@pytest.mark.parametrize("speed", [-1, 3])
def test_a_prediction_that_moves_in_another_way_is_not_read_as_flicker(speed):
    picture = texture()
    reading = read(panned(picture, speed), panned(picture, 1))
    assert not reading.valid
    assert reading.agreement < 0.8
    assert reading.flicker < 0.1


def test_a_faster_prediction_is_not_valid_though_the_residue_looks_like_flicker():
    """Seven pixels a frame apart, neighbours along the wrong motion have little in common."""
    picture = texture()
    reading = read(panned(picture, 6), panned(picture, -1))
    assert reading.flicker > 1
    assert not reading.valid


def test_a_single_flash_of_the_prediction_is_no_flicker():
    ref = panned(texture(), 1, 30)
    pred = ref.clone()
    pred[15] += 20
    assert abs(read(pred, ref).flicker) < 0.08
    assert abs(read(pred, ref).unexplained) < 1e-3


def test_a_flash_does_not_make_a_fade_flicker():
    ref = panned(texture(), 0, 30)
    pred = ref + 1.5 * torch.arange(30.0)[:, None, None]
    pred[15] += 30
    assert read(pred, ref).unexplained == pytest.approx(0, abs=0.01)


def test_pieces_that_overlap_by_two_frames_join_to_the_whole():
    ref = panned(texture(), 1)
    pred = boiling(ref, 5)
    whole = carried_moments(pred, ref)
    parts = [carried_moments(pred[i : i + 10], ref[i : i + 10]) for i in (0, 8)]
    parts.append(carried_moments(pred[16:], ref[16:]))
    joined = TileMoments.join(parts)
    assert len(joined) == len(whole) == FRAMES - 2
    torch.testing.assert_close(joined.luma.product, whole.luma.product, rtol=1e-3, atol=1e-2)


def test_motion_that_is_kept_is_what_would_be_found_again():
    video = panned(texture(), 1)
    kept = KeptMotion()
    kept.add(range(7, 7 + FRAMES), *neighbour_motion(video))
    for known, found in zip(kept.of(range(9, 15)), neighbour_motion(video[2:8]), strict=True):
        torch.testing.assert_close(known, found, rtol=1e-4, atol=1e-4)
    assert kept.of([9, 10, 12]) is None  # held against another frame
    assert kept.of(range(6, 9)) is None


def test_no_more_motion_is_kept_than_there_is_room_for(monkeypatch):
    motion = neighbour_motion(panned(texture(), 1))
    monkeypatch.setattr("flickerscope.tracks.KEPT", motion[0].nbytes)
    kept = KeptMotion()
    kept.add(range(FRAMES), *motion)
    kept.add(range(FRAMES, 2 * FRAMES), *motion)
    assert kept.of(range(FRAMES)) is not None
    assert kept.of(range(FRAMES, 2 * FRAMES)) is None


def test_a_comparison_reads_the_same_where_motion_was_not_kept(monkeypatch):
    # Two shots whose every step differs from those beside it, a frame held, a prediction that lags.
    shots = [
        [0, 1, 4, 6, 7, 10, 12, 12, 13, 16, 18, 19, 22, 24],
        [0, 3, 4, 6, 9, 10, 12, 15, 16, 18],
    ]
    pictures = [texture(seed) for seed in (0, 5)]
    ref = torch.stack([
        picture.roll(place, -1)
        for picture, places in zip(pictures, shots, strict=True)
        for place in places
    ])  # fmt: skip
    late = torch.cat([pictures[0].roll(-2, -1)[None], ref[:-1]])
    arrays = [x.clamp(0, 255).round().to(torch.uint8) for x in (boiling(late, 8), ref)]
    look_up, hits = KeptMotion.of, []

    def counted(kept, frames):
        hits.append(look_up(kept, frames))
        return hits[-1]

    monkeypatch.setattr(KeptMotion, "of", counted)
    comparison = compare(*arrays, paired=True, segment=8)
    assert comparison.paired.lag == 1
    assert len(hits) >= 2 and all(hit is not None for hit in hits)
    monkeypatch.setattr(KeptMotion, "of", lambda self, frames: None)
    assert asdict(comparison.carried) == asdict(compare(*arrays, paired=True, segment=8).carried)


def test_runs_are_pooled_and_too_few_tiles_are_not_read():
    ref = panned(texture(), 1)
    one, two = (carried_tiles(carried_moments(boiling(ref, 20, seed), ref)) for seed in (1, 2))
    apart = [read_carried([tiles]).flicker for tiles in (one, two)]
    assert min(apart) <= read_carried([one, two]).flicker <= max(apart)
    assert read_carried([one, two]).triples == 2 * (FRAMES - 2)
    assert read_carried([]) is None
    black = torch.zeros(5, 72, 128)
    assert read_carried([carried_tiles(carried_moments(black, black))]) is None


def small(path, frames):
    return small_pictures(torch.as_tensor(decode_luma(path, frames)).float())


def test_boiling_over_a_real_clip_reads_its_variance_and_does_not_lose_the_motion(media):
    """Along its own motion few tiles are left, whatever they read."""
    ref = small(media("real/exo/bear_vp9.webm"), 24)
    pred = boiling(ref, 60)
    reading, clean = read(pred, ref), read(ref, ref)
    # The motion between pixels smooths the neighbours: the reading lies below the truth.
    assert reading.flicker == pytest.approx(60**2 * BLURRED, rel=0.15)
    assert reading.coverage == pytest.approx(clean.coverage, abs=1e-6)
    assert reading.own_coverage < 0.3 < clean.own_coverage
    assert reading.valid


def test_an_edit_whose_ground_shimmers_flickers_more_than_its_source(media):
    """By eye on x-t slices, the rows of `flatten` change brightness; those of the source do not."""
    folder = "pairs/anyv2v_robot_couple"
    ref = small(media(f"{folder}/ref.mp4"), 16)
    reading = read(small(media(f"{folder}/gen_flatten.mp4"), 16), ref)
    assert reading.valid
    assert reading.unexplained > 0.5 > 0.1 > reading.ref_flicker
    assert reading.coverage > 0.7 > reading.own_coverage
