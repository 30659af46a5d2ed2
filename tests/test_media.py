"""Real clips: known flicker is found, and videos that are equal are told to be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from flickerscope import Comparison, analyze, compare
from flickerscope.report import document

Media = Callable[[str], Path]
Manifest = list[dict[str, Any]]

VALIDATOR = jsonschema.Draft202012Validator(document.schema())


def pair(media: Media, name: str, pred: str, ref: str) -> Comparison:
    return compare(media(f"pairs/{name}/{pred}"), media(f"pairs/{name}/{ref}"))


def report_of(result: Comparison) -> Any:
    report = json.loads(document.to_json(document.comparison_document(result)))
    VALIDATOR.validate(report)
    return report


# --- A known flicker ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flicker(media: Media) -> Comparison:
    """A still picture of which two frames in four are dimmed a little, at 30 frames a second."""
    return pair(media, "cvvdp_flicker", "gen_flicker20.mp4", "ref.mp4")


@pytest.fixture(scope="module")
def blur(media: Media) -> Comparison:
    return pair(media, "cvvdp_flicker", "gen_blur20.mp4", "ref.mp4")


def test_a_still_reference_has_exactly_no_power_in_any_band_and_scale(flicker: Comparison) -> None:
    assert len(flicker.table) == 12
    assert [row.ref_power for row in flicker.table] == [0.0] * 12
    for spectrum in flicker.ref_rung.spectra.values():
        assert not spectrum.power.any()
        assert not spectrum.counts[:, 1:].any()


def test_the_flicker_clip_has_one_line_where_its_frames_put_it(flicker: Comparison) -> None:
    scales = [line.scale for line in flicker.lines]
    assert len(set(scales)) == len(scales)
    assert {"pixel", "block"} <= set(scales)
    for line in flicker.lines:
        assert line.plane == "y"
        assert 30 * line.frequency == pytest.approx(7.5, abs=0.05)
        assert line.share >= 0.99
        assert line.ref_amplitude == 0


def test_the_line_carries_the_power_of_every_scale(flicker: Comparison) -> None:
    """Also at the scale where it is too weak to be called a line."""
    for spectrum in flicker.pred_rung.spectra.values():
        power = spectrum.mean_power
        assert power[6:9].sum() >= 0.99 * power.sum()
        assert power.argmax() == 7  # 8/32 cycles/frame


def test_the_amplitude_of_the_line_is_that_of_the_decoded_frames(
    flicker: Comparison, media: Media
) -> None:
    """By PyAV and a plain Fourier sum over whole periods."""
    import av

    path = media("pairs/cvvdp_flicker/gen_flicker20.mp4")
    with av.open(str(path)) as container:
        frames = [f.to_ndarray()[: f.height].astype(np.float32) for f in container.decode(video=0)]
    clip = np.stack(frames)[:32] * (255 / 219)
    wave = np.exp(-2j * np.pi * 0.25 * np.arange(32)) * 2 / 32
    squares = np.abs(np.tensordot(wave, clip, axes=1)) ** 2
    (line,) = [line for line in flicker.lines if line.scale == "pixel"]
    assert line.amplitude == pytest.approx(math.sqrt(squares.mean()), rel=2e-3)


def test_the_flicker_clip_is_said_to_flicker_more(flicker: Comparison) -> None:
    assert flicker.verdict == "flickers more"
    assert flicker.energy_db > 3
    assert "where neither video moves" in flicker.basis


def test_blur_of_a_still_picture_is_no_flicker(blur: Comparison) -> None:
    assert [row.pred_power for row in blur.table] == [0.0] * 12
    assert [row.excess_db for row in blur.table] == [0.0] * 12
    assert blur.verdict == "no difference found"
    assert blur.lines == ()
    assert blur.picture.sharpness_db is not None
    assert blur.picture.sharpness_db < 0


# --- Equal by intent ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["gen_flash.mp4", pytest.param("gen_flash_v2.mp4", marks=pytest.mark.slow)]
)
def test_another_implementation_of_attention_flickers_alike(media: Media, name: str) -> None:
    result = pair(media, "fv_wan13_hiker", name, "ref.mp4")
    block = [row for row in result.table if row.scale == "block"]
    assert len(block) == 4
    for row in block:
        assert abs(row.excess_db) < 0.5
    assert result.verdict == "no difference found"


@pytest.mark.parametrize(
    "name",
    [
        "fv_wan13_hiker/ref.mp4",
        pytest.param("fv_mochi_lemon/gen_asgif.gif", marks=pytest.mark.slow),
        "vmaf_sparks10/ref.y4m",
        "vmaf_q160x90/ref.y4m",
    ],
)
def test_a_real_clip_against_itself_is_exactly_nothing(media: Media, name: str) -> None:
    path = media(f"pairs/{name}")
    result = compare(path, path)
    assert [row.excess_db for row in result.table] == [0.0] * len(result.table)
    assert [row.wasserstein_db for row in result.table] == [0.0] * len(result.table)
    assert result.verdict == "no difference found"
    assert result.lines == ()


# --- Pairs that differ in form --------------------------------------------------------------------


def test_a_pair_of_different_sizes_is_compared_at_the_scales_that_allow_it(media: Media) -> None:
    result = pair(media, "ffqm_minimal", "gen_dist.mkv", "ref.mkv")
    report = report_of(result)
    sizes = [(entry["width"], entry["height"]) for entry in report["inputs"]]
    assert sizes == [(854, 480), (1280, 720)]
    assert any("sizes differ (854x480 and 1280x720)" in note for note in result.notes)
    assert (result.paired, result.paired_reason) == (None, "different sizes")
    assert result.picture.sharpness_db is None
    # The same test pattern, only scaled: the frame's mean and its blocks change alike.
    for row in result.table:
        if row.scale != "pixel":
            assert abs(row.excess_db) < 0.5


def test_a_gif_meets_the_mp4_it_was_made_from(media: Media) -> None:
    result = pair(media, "fv_mochi_lemon", "gen_asgif.gif", "ref.mp4")
    report_of(result)
    assert [clip.frames for side in (result.pred, result.ref) for clip in side.clips] == [43, 43]
    assert result.pred.rate == result.ref.rate == 30
    assert any("different codecs (gif, h264)" in text for text in result.warnings)
    rows = {(row.scale, row.band): row.excess_db for row in result.table}
    # Dithering to 256 colours adds noise to pixels, and takes nothing from the rest.
    assert rows["pixel", "HF"] > rows["block", "HF"] > 0
    assert abs(rows["global", "HF"]) < 1
    assert result.picture.sharpness_db is not None
    assert result.picture.sharpness_db > 3


def test_y4m_of_10_bits_keeps_its_precision(media: Media) -> None:
    """Five frames: the second difference of the samples, read from the file by hand."""
    result = pair(media, "vmaf_sparks10", "gen_dis.y4m", "ref.y4m")
    report = report_of(result)
    assert {(entry["bits"], entry["pixel_format"]) for entry in report["inputs"]} == {
        (10, "yuv420p10le")
    }
    assert report["segment"]["frames"] == 5
    (row,) = [row for row in result.table if row.scale == "pixel"]
    for power, name in ((row.pred_power, "gen_dis.y4m"), (row.ref_power, "ref.y4m")):
        x = y4m_luma(media(f"pairs/vmaf_sparks10/{name}"), 480, 270) * 255 / (219 * 4)
        second = (x[:-2] - 2 * x[1:-1] + x[2:]) / 4
        assert power == pytest.approx((second**2).mean(), rel=1e-5)


def y4m_luma(path: Path, width: int, height: int) -> Any:
    """Luma samples of 4:2:0 with two bytes a sample, (frames, rows, columns)."""
    data = path.read_bytes()
    start, frames = data.index(b"\n") + 1, []
    luma, size = 2 * width * height, 3 * width * height
    while start < len(data):
        start = data.index(b"\n", start) + 1  # FRAME
        samples = np.frombuffer(data[start : start + luma], "<u2")
        frames.append(samples.reshape(height, width).astype(np.float64))
        start += size
    return np.stack(frames)


def test_a_clip_of_one_frame_is_too_short_in_so_many_words(media: Media) -> None:
    from flickerscope import TooShortError

    with pytest.raises(TooShortError, match="3 frames without a cut are the least"):
        analyze(media("broken/y4m_fuzz/seed_420.y4m"))


@pytest.mark.slow
def test_a_video_is_read_alike_whatever_the_threads(media: Media) -> None:
    for name in (
        "real/exo/bear_vp9.webm",
        "real/vmaf/src01_10bit.y4m",
        "patterns/torchcodec/av1.mkv",
    ):
        one, three = (
            document.to_json(document.analysis_document([analyze(media(name), threads=n)], "cpu"))
            for n in (1, 3)
        )
        assert one == three
