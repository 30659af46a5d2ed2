"""The summary on a terminal leads with the verdict and the motion-compensated flicker."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from flickerscope import Comparison, Measurement, compare
from flickerscope.cli.terminal import analysis_summary, comparison_summary
from flickerscope.report.words import comparison_headline, ground_sentence


def texture(count: int, amplitude: float = 0) -> Any:
    """A still texture of 72 x 96 pixels, all of it brighter and darker in turn."""
    picture = np.random.default_rng(1).integers(60, 196, (72, 96)).astype(float)
    wave = amplitude * (-1.0) ** np.arange(count)
    return (picture + wave[:, None, None]).astype(np.uint8)


@functools.cache
def blinking() -> Comparison:
    """An alternation of +-2 reads 4 a^2 = 16, as excess 10 log10(16.1 / 0.1) = 22.1 dB."""
    return compare(texture(24, 2), texture(24), fps=24)


@functools.cache
def blinking_in_colour() -> Comparison:
    pred, ref = (np.repeat(texture(24, a)[:, None], 3, 1) for a in (2, 0))
    return compare(pred, ref, fps=24, planes="yuv")


@functools.cache
def unmeasured() -> Comparison:
    return compare(texture(24, 2), texture(24), fps=24, motion=False)


def printed(result: Comparison | Measurement) -> str:
    """As on a terminal of 80 columns."""
    console = Console(width=80, highlight=False, markup=False)
    with console.capture() as capture:
        if isinstance(result, Comparison):
            console.print(comparison_summary(result, verbose=True))
        else:
            console.print(analysis_summary(result, device="cpu", verbose=True))
    return capture.get()


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_comparison_leads_with_the_verdict_its_ground_the_flicker_and_the_energy() -> None:
    text = words(printed(blinking()))
    parts = [
        "Flickers more.",
        "It rests on ",
        "Motion-compensated flicker excess +22.1 dB (pred 16.00, ref 0.00 code^2; coverage ",
        "Beside it: high-frequency energy (includes motion) +",
        "pred array",
        "band pred ref dB",
    ]
    places = [text.index(part) for part in parts]
    assert places[0] == 0
    assert places == sorted(places)


def test_a_video_alone_leads_with_its_name_the_flicker_and_the_energy() -> None:
    text = words(printed(blinking().pred))
    parts = [
        "video array",
        "Motion-compensated flicker 4.00 rms code values (16.00 code^2; coverage ",
        "Beside it: high-frequency energy (includes motion) 2 rms code values in HF",
        "band rms rms rms",
    ]
    places = [text.index(part) for part in parts]
    assert places[0] == 0
    assert places == sorted(places)


def test_the_flicker_is_told_with_its_area_its_texture_and_its_chroma() -> None:
    result = blinking_in_colour()
    text, motion = words(printed(result)), result.motion
    assert motion is not None
    assert f"area {100 * motion.pred.area:.0f} % / {100 * motion.ref.area:.0f} %" in text
    assert "Cb +0.0 dB" in text
    assert "Cr +0.0 dB" in text
    assert f"pop {motion.pred.pop:.2f} / {motion.ref.pop:.2f} code^2" in text
    alone = replace(blinking(), motion=replace(motion, pred=replace(motion.pred, texture=0.02)))
    assert "texture" not in words(printed(alone))
    both = replace(
        motion, pred=replace(motion.pred, texture=0.02), ref=replace(motion.ref, texture=-0.01)
    )
    assert "texture renewed 2 % / 0 %" in words(printed(replace(blinking(), motion=both)))


def test_less_than_clean_videos_read_is_called_none_detected() -> None:
    same = compare(texture(24), texture(24), fps=24)
    text = words(printed(same))
    assert text.startswith("No difference found.")
    assert "Motion-compensated flicker excess +0.0 dB: none detected (pred 0.00" in text
    assert "Motion-compensated flicker 0.00 rms code values: none detected (" in words(
        printed(same.pred)
    )
    assert "none detected" not in printed(blinking())


def test_flicker_in_a_part_of_the_picture_is_not_called_none() -> None:
    motion = compare(texture(24), texture(24), fps=24).motion
    assert motion is not None
    local = replace(motion, pred=replace(motion.pred, area=0.1))
    title = comparison_headline(replace(blinking(), motion=local)).title
    assert title.endswith("none detected in most of the picture")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (unmeasured, "not measured: switched off"),
        (
            lambda: compare(texture(4, 2), texture(4)),
            "not measurable: 4 frames without a cut, 5 are needed",
        ),
    ],
)
def test_where_there_is_no_flicker_to_lead_with_it_says_so_and_why(make: Any, reason: str) -> None:
    result = make()
    for text in (words(printed(result)), words(printed(result.pred))):
        lead = text[: text.index("high-frequency energy (includes motion)")]
        assert f"Motion-compensated flicker {reason}" in lead
        assert "flow lk" not in text


def test_a_motion_that_cannot_be_followed_is_not_measurable_and_its_numbers_stay() -> None:
    motion = blinking().motion
    assert motion is not None
    lost = replace(motion, ref=replace(motion.ref, coverage=0.1))
    text = words(printed(replace(blinking(), motion=lost)))
    assert "not measurable: coverage 10 % of the reference, 30 % are needed (pred 16.00" in text


def test_a_verdict_on_energy_says_where_it_comes_from() -> None:
    ruling = unmeasured().ruling
    assert ruling.ground == "energy"
    energy = f"{unmeasured().energy_db:+.1f} dB in HF at block scale"
    assert ground_sentence(ruling).startswith(f"It rests on the high-frequency energy: {energy}")
    nothing = replace(ruling, verdict="not measurable", ground="coverage")
    assert "nothing reliable" in ground_sentence(nothing)


@pytest.mark.parametrize("make", [blinking, blinking_in_colour, unmeasured])
def test_every_line_fits_80_columns(make: Any) -> None:
    for result in (make(), make().pred):
        assert max(len(line) for line in printed(result).splitlines()) <= 80


def test_only_the_verdict_and_the_number_are_bold() -> None:
    console = Console(width=200, force_terminal=True, color_system="standard", highlight=False)
    with console.capture() as capture:
        console.print(comparison_summary(blinking()))
    first, _, third, *_ = capture.get().splitlines()
    assert first.startswith("\x1b[1;31mFlickers more.")
    assert third.startswith("\x1b[1mMotion-compensated flicker excess +22.1 dB\x1b[0m (pred")
