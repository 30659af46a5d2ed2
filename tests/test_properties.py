"""What must hold on any array, whatever is in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flickerscope import TooShortError, analyze, compare
from flickerscope.report import document

few = settings(max_examples=12)
fewer = settings(max_examples=6)
BARE: dict[str, Any] = {"motion": False, "paired": False, "fps": 24}
LATENT: dict[str, Any] = {**BARE, "latent": True}


@st.composite
def clips(draw: st.DrawFn, frames: int | None = None, size: int | None = None) -> npt.NDArray[Any]:
    """Tiny videos of uint8, uint16 or floats in 0..1: noise, stills, flashes, black and white."""
    count = frames or draw(st.integers(3, 18))
    rows, columns = (size or draw(st.integers(1, 12)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "still", "flashes", "extremes", "sparse"]))
    video = rng.random((count, rows, columns))
    if kind == "noise":  # not so much that every frame is a shot of its own
        video = 0.9 * video[:1] + 0.05 * video
    if kind == "still":
        video[:] = video[:1]
    elif kind == "flashes":
        video = 0.5 * video[:1] + 0.5 * rng.random((count, 1, 1))
    elif kind == "extremes":
        video = np.round(video)
    elif kind == "sparse":
        video *= video > 0.98
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32", "float64"]))
    if dtype.startswith("uint"):
        video = video * np.iinfo(dtype).max
    return video.astype(dtype)


@st.composite
def latents(
    draw: st.DrawFn, channels: int = 2, kinds: tuple[str, ...] = ("noise", "drift", "step", "still")
) -> npt.NDArray[np.float64]:
    """Latents of 16 frames, of values of any size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    time = np.arange(16)[:, None, None, None]
    frames = {
        "noise": rng.standard_normal((16, channels, 6, 7)),
        "drift": np.sin(time / 9 + rng.random((1, channels, 6, 7))),
        "step": (time > 8) * rng.standard_normal((1, channels, 6, 7)),
        "still": np.zeros((16, channels, 6, 7)),
    }[draw(st.sampled_from(kinds))]
    size = 10.0 ** draw(st.floats(-9, 9))
    return size * (rng.standard_normal((1, channels, 6, 7)) + 0.3 * frames)


@contextmanager
def measurable() -> Iterator[None]:
    """Passes over clips that are all cuts: noise of full contrast is another shot each frame."""
    try:
        yield
    except TooShortError:
        assume(False)


def powers(video: npt.NDArray[Any], **options: Any) -> dict[str, npt.NDArray[np.float64]]:
    """Mean power of each bin by plane and scale, with cuts as they are found."""
    measured = analyze(video, **{**BARE, **options})
    return {name: s.mean_power for name, s in measured.rungs[measured.segment].spectra.items()}


@few
@given(clips(frames=16))
def test_a_video_against_itself_has_no_excess_at_all(video: npt.NDArray[Any]) -> None:
    with measurable():
        result = compare(video, video.copy(), **BARE)
    assert {row.excess_db for row in result.table} == {0.0}


@few
@given(clips(frames=16, size=8), clips(frames=16, size=8))
def test_swapping_the_sides_negates_every_excess(
    pred: npt.NDArray[Any], ref: npt.NDArray[Any]
) -> None:
    with measurable():
        there, back = compare(pred, ref, **BARE), compare(ref, pred, **BARE)
    assert [row.excess_db for row in there.table] == [-row.excess_db for row in back.table]


@few
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1))
def test_a_gain_scales_every_power_by_its_square(seed: int, gain: float) -> None:
    x = 0.1 * np.random.default_rng(seed).random((16, 6, 7))
    for name, power in powers(gain * x).items():
        np.testing.assert_allclose(power, gain**2 * powers(x)[name], rtol=1e-6, atol=1e-12)


@few
@given(st.integers(0, 2**32 - 1), st.integers(8, 20))
def test_reversing_time_leaves_every_power(seed: int, frames: int) -> None:
    x = 0.1 * np.random.default_rng(seed).random((frames, 6, 7))
    backwards = powers(x[::-1], segment=frames)
    for name, power in powers(x, segment=frames).items():
        np.testing.assert_allclose(backwards[name], power, rtol=1e-9, atol=1e-12)


@few
@given(clips(frames=16, size=12), st.integers(1, 4))
def test_threads_change_no_number(video: npt.NDArray[Any], threads: int) -> None:
    with measurable():
        one, many = powers(video, threads=1), powers(video, threads=threads, memory=2)
    for name, power in one.items():
        np.testing.assert_allclose(many[name], power, rtol=1e-5, atol=1e-9)


# --- Latents --------------------------------------------------------------------------------------


def of_latents(pred: npt.NDArray[Any], ref: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """All excesses, dB."""
    return np.array([row.excess_db for row in compare(pred, ref, **LATENT).table])


@fewer
@given(st.integers(1, 4).flatmap(latents))
def test_a_latent_against_itself_has_no_excess_at_all(x: npt.NDArray[Any]) -> None:
    assert set(of_latents(x, x.copy())) == {0.0}


@fewer
@given(latents(kinds=("noise", "step")), latents(kinds=("noise", "step")))
def test_swapping_latents_negates_every_excess(
    pred: npt.NDArray[Any], ref: npt.NDArray[Any]
) -> None:
    """Of about a size: the floor under what hardly changes is relative to the reference."""
    pred, ref = pred / pred.std(), ref / ref.std()
    np.testing.assert_allclose(of_latents(pred, ref), -of_latents(ref, pred), rtol=1e-12, atol=1e-9)


@fewer
@given(latents(), latents(), st.floats(-12, 12))
def test_scaling_latents_leaves_every_excess(
    pred: npt.NDArray[Any], ref: npt.NDArray[Any], power: float
) -> None:
    """Nothing is added to the powers, so that only their ratio counts."""
    scaled = of_latents(10**power * pred, 10**power * ref)
    np.testing.assert_allclose(scaled, of_latents(pred, ref), rtol=1e-9, atol=1e-6)


@fewer
@given(st.integers(1, 4).flatmap(latents))
def test_reversing_the_time_of_latents_leaves_every_power(x: npt.NDArray[Any]) -> None:
    backwards = powers(x[::-1], latent=True)
    for name, power in powers(x, latent=True).items():
        np.testing.assert_allclose(backwards[name], power, rtol=1e-9, atol=1e-12 * x.var())


@pytest.mark.parametrize("motion", [False, True])
def test_every_number_of_a_report_is_finite(motion: bool) -> None:
    @settings(max_examples=4 if motion else 12)
    @given(clips(size=9 if motion else None), clips(size=9 if motion else None))
    def check(pred: npt.NDArray[Any], ref: npt.NDArray[Any]) -> None:
        with measurable():
            result = compare(pred, ref, fps=24, motion=motion)
        text = document.to_json(document.comparison_document(result))
        assert math.isfinite(json.loads(text)["energy"]["value"])

    check()
