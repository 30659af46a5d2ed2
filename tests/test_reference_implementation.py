"""Real clips: the package against the plain numpy of reference.py, sample for sample."""

from __future__ import annotations

import functools
from functools import partial

import numpy as np
import pytest
import reference

import flickerscope

# What follows the motion has tests of its own, and costs most of the time.
analyze = partial(flickerscope.analyze, motion=False)

SCALES = ("pixel", "block", "global")
CLIPS = {
    "generated, limited range": ("pairs/fv_wan13_hiker/ref.mp4", "0:49", None),
    "camera, 16 frames": ("pairs/anyv2v_car/ref.mp4", None, None),
    "pattern, full range": ("patterns/torchcodec/bt709_full_range.mp4", "0:32", (360, 300, 41, 77)),
    "pattern, limited range": ("patterns/torchcodec/testsrc2_720p.mp4", "0:40", (301, 203, 50, 90)),
    "10 bits": ("patterns/exo/apple_hevc_10bit.mp4", "0:32", None),
}


def decoded(path, frames, crop):
    """Code values of the part of a file that is measured."""
    x = reference.decode_luma(path, frames)
    if crop is None:
        return x
    width, height, left, top = crop
    return x[:, top : top + height, left : left + width]


@functools.cache
def cells_of(name, scale):
    """Code values of a clip's cells at a scale."""
    return reference.at_scale(DECODED[name], scale)


@functools.cache
def high_power(name, scale):
    """HF power of every cell in every segment, (segments, ...)."""
    x = cells_of(name, scale)
    length = min(32, len(x))
    weights = reference.band_weights(*reference.BANDS["HF"], length)
    return np.stack(
        [
            np.tensordot(weights, reference.power(x[start : start + length])[1:], axes=1)
            for start in reference.segment_starts(len(x), length)
        ]
    )


DECODED = {}


@pytest.fixture(params=CLIPS, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def clip(request, media):
    """Path, name, code values as the reference decodes them, and options for the package."""
    file, frames, crop = CLIPS[request.param]
    path = media(file)
    last = int(frames.split(":")[1]) if frames else None
    options = {"frames": frames}
    if crop is not None:
        options["crop"] = "{}x{}+{}+{}".format(*crop)
    if request.param not in DECODED:
        DECODED[request.param] = decoded(path, last, crop)
    return path, request.param, DECODED[request.param], options


@pytest.mark.parametrize("window", ["hann", "boxcar"])
def test_powers_and_bands_agree_at_every_scale(clip, window):
    path, name, x, options = clip
    length = min(32, len(x))
    measured = analyze(path, window=window, **options)
    assert measured.clips[0].shots == [(0, len(x))]
    starts = reference.segment_starts(len(x), length)
    assert measured.clips[0].readings[length].starts == starts
    weights = measured.transform().weights.numpy()
    for scale in SCALES:
        theory = reference.mean_power(cells_of(name, scale), length, window)
        spectrum = measured.rungs[length].spectra[f"y/{scale}"]
        # float32 near 128 has steps of 1.5e-5 code values; 1e-6 code^2 is 1/50000 of the rounding
        # of 8-bit video.
        assert spectrum.mean_power == pytest.approx(theory, rel=1e-4, abs=1e-6)
        bands = [band.name for band in measured.transform().bands]
        for band, power in zip(bands, weights @ spectrum.mean_power, strict=True):
            expected = reference.band_power(theory, band, length)
            assert power == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_histograms_agree_at_pixel_and_block_scale(clip):
    path, name, x, options = clip
    length = min(32, len(x))
    measured = analyze(path, **options)
    inside = [2.0**e * s for e in range(-15, 16) for s in (1, 1.25, 1.5, 1.75)]
    edges = [-np.inf, *inside, 2.0**16, np.inf]
    for scale in ("pixel", "block"):
        counts = np.histogram(high_power(name, scale), bins=edges)[0]
        ours = measured.rungs[length].spectra[f"y/{scale}"].counts[2]
        assert ours.sum() == counts.sum()
        # A sample on an edge may fall to its other side in single precision, by one bin.
        assert np.abs(np.cumsum(ours - counts)).sum() <= 1e-3 * counts.sum()


def test_what_is_said_of_the_picture_agrees(clip):
    path, _, x, options = clip
    ours = analyze(path, **options).clips[0]
    seen = x[::8]
    assert ours.frames == len(x)
    assert ours.mean == pytest.approx(seen.mean(), rel=1e-5)
    assert ours.contrast**2 == pytest.approx(seen.var(axis=(1, 2)).mean(), rel=1e-4)
    gradient = sum(np.square(np.diff(seen, axis=d)).mean(axis=(1, 2)).mean() for d in (1, 2))
    assert ours.gradient == pytest.approx(gradient, rel=1e-4)


def test_the_map_agrees_cell_by_cell(clip):
    path, name, x, options = clip
    length = min(32, len(x))
    ours = analyze(path, **options).clips[0].readings[length].map
    assert ours == pytest.approx(high_power(name, "block").mean(axis=0), rel=1e-3, abs=1e-6)
