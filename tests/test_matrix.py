"""Clips of every codec, pixel format, range, size, rate and container read as theory says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from matrix import FRAMES, MATRIX, Clip, amplitudes, write
from numpy.typing import NDArray

from flickerscope import Measurement, analyze
from flickerscope.suffixes import VIDEO_SUFFIXES
from flickerscope.video import header
from flickerscope.video.header import promised_length
from flickerscope.video.stream import opened


def power_of(measured: Measurement, name: str) -> NDArray[np.float64]:
    """Power at each frequency."""
    return measured.rungs[FRAMES].spectra[name].mean_power


@pytest.mark.parametrize(
    "clip",
    [pytest.param(clip, id=f"{clip.name}-{clip.codec}-{clip.pixel_format}") for clip in MATRIX],
)
def test_a_known_flicker_reads_as_theory_says(clip: Clip, tmp_path: Path) -> None:
    if clip.codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {clip.codec}")
    path = write(clip, tmp_path)
    expected = amplitudes(clip)
    planes = "yuv" if len(expected) == 3 else "y"
    measured = analyze(
        path, motion=False, planes=planes, scales=("pixel", "global"), device="cpu", threads=1
    )
    (found,) = measured.clips
    info = found.info
    assert (info.width, info.height) == clip.shown
    assert (info.interlaced, info.rotation) == (clip.interlaced, clip.turned)
    assert clip.transfer in (info.transfer, None)
    assert any("measured in code values" in note for note in info.notes) == bool(clip.transfer)
    assert info.pixel_format == (clip.stored or clip.pixel_format)
    assert (found.frames_decoded, found.lost, found.gaps) == (FRAMES, None, 0)
    assert info.rate == pytest.approx(clip.rate, rel=0.01 if clip.uneven else 1e-5)
    assert info.variable_rate == clip.uneven
    for plane, amplitude in expected.items():
        if plane != "y" and clip.within:
            continue
        off = {"rel": clip.within} if clip.within else {"rel": 1e-5, "abs": 0.02}
        pixel, mean = power_of(measured, f"{plane}/pixel"), power_of(measured, f"{plane}/global")
        assert pixel.sum() == pytest.approx((amplitude**2).mean(), **off)
        assert mean.sum() == pytest.approx(amplitude.mean() ** 2, **off)
        assert pixel[:-2].sum() <= (clip.within + 1e-5) * pixel.sum() + 0.001


@pytest.mark.parametrize("clip", [pytest.param(clip, id=clip.name) for clip in MATRIX])
def test_the_length_of_a_clip_is_known_without_a_picture(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if clip.codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {clip.codec}")
    path = str(write(clip, tmp_path))
    promised = promised_length(path)
    monkeypatch.setattr(header, "opened", lambda path, options, **_: opened(path, options))
    assert promised == promised_length(path)


def test_a_scan_finds_every_kind_of_file_that_is_measured(
    media_manifest: list[dict[str, Any]],
) -> None:
    ours = {Path(clip.name).suffix for clip in MATRIX}
    theirs = {Path(item["path"]).suffix.lower() for item in media_manifest}
    assert ours | theirs <= set(VIDEO_SUFFIXES)
