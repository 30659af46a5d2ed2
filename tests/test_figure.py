"""The figure shows the numbers of the result, all of it legible, for every kind of result."""

from __future__ import annotations

import io
import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.text import Text

from flickerscope import Comparison, Measurement, OutputError, analyze, compare
from flickerscope.histogram import EDGES
from flickerscope.report import along, places
from flickerscope.report.figure import figure, save_figure
from flickerscope.report.style import literal, shorten, text_width, wrap
from flickerscope.report.view import view

Bytes = npt.NDArray[np.uint8]
Result = Comparison | Measurement

LONG_NAME = "a_" + "very_" * 30 + "long_name.mp4"
CUSTOM_BANDS = (
    "a very long band name for slow things:0.05-0.1, mid $x_1$:0.1-0.2, narrow:0.3-0.31, "
    "the really fast and annoying flicker:0.2-0.5, overlap:0.25-0.45, top:0.45-0.5"
)


def frames(*levels: int) -> Bytes:
    """Flat frames of 8x8 pixels."""
    return np.stack([np.full((8, 8), level, np.uint8) for level in levels])


def film(
    count: int, height: int = 24, width: int = 32, *, amplitude: float = 0, seed: int = 0
) -> Bytes:
    """Smooth texture that moves, with noise; its right half alternates by ``amplitude``."""
    rng = np.random.default_rng(seed)
    texture = rng.uniform(60, 190, (height, 2 * width))
    texture = np.mean([np.roll(texture, shift, axis=1) for shift in range(9)], axis=0)
    right = np.arange(width) >= width // 2
    pictures = []
    for t in range(count):
        start = t // 3 % width
        picture = texture[:, start : start + width] + amplitude * (-1) ** t * right
        pictures.append(np.clip(np.round(picture + rng.normal(0, 1, picture.shape)), 0, 255))
    return np.stack(pictures).astype(np.uint8)


def tone(cycles_per_frame: float, count: int = 64) -> npt.NDArray[np.float64]:
    """A sine of 4 code values in every pixel, in double precision, 0..1."""
    wave = 128 + 4 * np.sin(2 * math.pi * cycles_per_frame * np.arange(count))
    return np.broadcast_to(wave[:, None, None] / 255, (count, 8, 8)).copy()


def renamed(result: Result, *names: str) -> Any:
    """The result as if its files had other names."""
    if isinstance(result, Comparison):
        pred, ref = renamed(result.pred, names[0]), renamed(result.ref, names[-1])
        return replace(result, pred=pred, ref=ref)
    clips = [replace(clip, info=replace(clip.info, path=names[0])) for clip in result.clips]
    return replace(result, clips=tuple(clips))


def joined(*shots: Bytes) -> Bytes:
    """Shots of different brightness, so that the cuts are found."""
    return np.concatenate([shot // (1 + k % 2) for k, shot in enumerate(shots)])


@cache
def moving_pair() -> Comparison:
    return compare(film(60, amplitude=4), film(60), fps=24)


def unmeasured_pair() -> Comparison:
    return compare(film(60, amplitude=4), film(60), fps=24, motion=False)


@cache
def blinking_alone() -> Measurement:
    """A still texture of 100 columns; 24 of them blink by +-2, 36 are black."""
    texture = np.random.default_rng(1).integers(80, 176, (72, 100)).astype(float)
    codes = np.repeat(texture[None], 40, 0)
    codes[:, :, :24] += 2 * (-1.0) ** np.arange(40)[:, None, None]
    codes[:, :, -36:] = 0
    return analyze(codes.astype(np.uint8), fps=25)


def one_side_measured() -> Comparison:
    return compare(film(60, amplitude=4), analyze(film(60), fps=24, motion=False), fps=24)


def with_gaps() -> Measurement:
    clip = blinking_alone().clips[0]
    assert clip.motion is not None
    series = np.where(np.isin(np.arange(38), (10, 11, 20)), np.nan, clip.motion.series)
    return replace(
        blinking_alone(), clips=(replace(clip, motion=replace(clip.motion, series=series)),)
    )


def cropped() -> Comparison:
    return compare(film(40, 40, 60, amplitude=1), film(40, 40, 60), fps=24, crop="50x30+4+6")


@cache
def still_pair() -> Comparison:
    same = np.full((40, 16, 24), 90, np.uint8)
    return compare(same, same)


@cache
def shots_alone() -> Measurement:
    return analyze(joined(film(50), film(70, seed=1), film(40, seed=2)), fps=25)


def in_hertz_at_two_rates() -> Comparison:
    result = compare(film(60, amplitude=1), film(60), fps=30, bands="hz", paired=False)
    return replace(result, ref=analyze(film(60), fps=24, bands="hz"))


def several_clips() -> Comparison:
    pred, ref = (
        analyze(film(50, amplitude=a), fps=24) + analyze(film(60, amplitude=a), fps=24)
        for a in (1.0, 0.0)
    )
    return compare(pred, ref)


def clips_of_different_shape() -> Measurement:
    return analyze(film(40), fps=24) + analyze(film(40, 16, 40), fps=24)


def with_warnings() -> Comparison:
    texts = tuple(f"{LONG_NAME}: something is odd, number {k}, " + "and " * 60 for k in range(5))
    named: Comparison = renamed(moving_pair(), LONG_NAME)
    return replace(named, warnings=texts)


def reloaded() -> Measurement:
    """A saved measurement has no picture."""
    return Measurement.from_dict(shots_alone().to_dict())


def in_colour() -> Comparison:
    rgb = np.stack([film(40, amplitude=a, seed=s) for a, s in ((2, 0), (0, 0), (1, 0))], 1)
    return compare(rgb, film(40)[:, None].repeat(3, 1), fps=24, planes="yuv")


SITUATIONS: dict[str, Callable[[], Result]] = {
    "a pair": moving_pair,
    "no motion": unmeasured_pair,
    "no motion alone": lambda: analyze(film(60), fps=24, motion=False),
    "one side without motion": one_side_measured,
    "partly black": blinking_alone,
    "gaps in the flicker": with_gaps,
    "cropped": cropped,
    "portrait alone": lambda: analyze(film(40, 40, 20), fps=30),
    "three frames": lambda: compare(frames(127, 129, 127), frames(128, 128, 128)),
    "three frames alone": lambda: analyze(frames(127, 129, 127), fps=8),
    "eight frames": lambda: compare(film(8, amplitude=2), film(8)),
    "eight frames alone": lambda: analyze(film(8), fps=8),
    "identical and still": still_pair,
    "shots": shots_alone,
    "no picture": reloaded,
    "minutes": lambda: compare(film(4000, 4, 6, amplitude=2), film(4000, 4, 6), fps=30),
    "portrait": lambda: compare(film(40, 32, 18, amplitude=1), film(40, 32, 18), fps=30),
    "tower": lambda: compare(film(40, 90, 4, amplitude=1), film(40, 90, 4), fps=30),
    "wide": lambda: compare(film(40, 8, 64, amplitude=1), film(40, 8, 64), fps=29.97),
    "different shapes": lambda: compare(film(40, 24, 64), film(40), fps=24),
    "different rates": lambda: compare(
        analyze(film(60), fps=30), analyze(film(60), fps=24), axis="frame"
    ),
    "bands in Hz": lambda: compare(film(60, amplitude=1), film(60), fps=60, bands="hz"),
    "bands in Hz at two rates": in_hertz_at_two_rates,
    "bands of one's own": lambda: compare(
        film(40, amplitude=1), film(40), fps=24, bands=CUSTOM_BANDS
    ),
    "one band": lambda: analyze(film(40), bands="all of it:0.05-0.5"),
    "one scale": lambda: compare(film(40), film(40, seed=4), scales=("block",)),
    "no blocks": lambda: compare(film(40), film(40, seed=4), fps=24, scales=("global", "pixel")),
    "colour": in_colour,
    "several clips": several_clips,
    "clips of different shape": clips_of_different_shape,
    "many warnings": with_warnings,
    "long names": lambda: renamed(moving_pair(), LONG_NAME, "B" + LONG_NAME),
}


@cache
def situation(name: str) -> Result:
    return SITUATIONS[name]()


every_situation = pytest.mark.parametrize("name", SITUATIONS)


@cache
def figure_of(name: str) -> Figure:
    return figure(situation(name))


def artists(drawn: Figure, kind: type[Any], gid: str = "") -> list[Any]:
    """Everything of a kind whose id begins like this."""
    return [item for item in drawn.findobj(kind) if (item.get_gid() or "").startswith(gid)]


def one(drawn: Figure, kind: type[Any], gid: str) -> Any:
    (found,) = artists(drawn, kind, gid)
    return found


def shown_texts(drawn: Figure) -> list[Text]:
    """All text that is drawn: a tick beyond the end of its axis is not."""
    hidden = set()
    for axis in drawn.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            inside = low - slack <= tick.get_loc() <= high + slack
            for label in (tick.label1, tick.label2):
                if not inside or not label.get_visible() or not tick.get_visible():
                    hidden.add(label)
    return [
        text
        for text in drawn.findobj(Text)
        if text not in hidden and text.get_visible() and text.get_text().strip()
    ]


def all_text(drawn: Figure) -> str:
    return "\n".join(text.get_text() for text in shown_texts(drawn))


def panels(drawn: Figure) -> Iterator[Axes]:
    yield from (axes for axes in drawn.axes if axes.get_xlabel() or axes.get_ylabel())


def check_layout(drawn: Figure) -> None:
    """Text keeps its distance at the resolution that files have; ticks settle when drawn."""
    drawn.set_dpi(200)
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    renderer = canvas.get_renderer()
    page = drawn.bbox
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown_texts(drawn)]
    assert len(boxes) > 20
    for text, box in boxes:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1
        assert inside, f"{text!r} leaves the page: {box}"
    overlaps = [
        (a, b)
        for (a, first), (b, second) in itertools.combinations(boxes, 2)
        if min(first.x1, second.x1) > max(first.x0, second.x0) + 0.5
        and min(first.y1, second.y1) > max(first.y0, second.y0) + 0.5
    ]
    assert not overlaps


@every_situation
def test_no_text_overlaps_another_and_all_of_it_lies_on_the_page(name: str) -> None:
    check_layout(figure_of(name))


@every_situation
def test_text_is_never_smaller_than_seven_points(name: str) -> None:
    sizes = {text.get_fontsize() for text in shown_texts(figure_of(name))}
    assert min(float(size) for size in sizes) >= 7


@every_situation
def test_all_that_is_drawn_is_finite(name: str) -> None:
    drawn = figure_of(name)
    for line in drawn.findobj(Line2D):
        assert np.isfinite(np.asarray(line.get_xydata(), dtype=float)).all()
    for steps in drawn.findobj(StepPatch):
        assert np.isfinite(steps.get_data()[0]).all()
    for axes in drawn.axes:
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()


@every_situation
def test_every_axis_that_has_a_name_has_a_unit(name: str) -> None:
    drawn = figure_of(name)
    labels = {label for axes in panels(drawn) for label in (axes.get_xlabel(), axes.get_ylabel())}
    unnamed = {label for label in labels - {"", "scale"} if "(" not in label}
    assert not unnamed
    assert any("code" in label for label in labels)


def test_the_spectrum_is_the_mean_power_of_the_result() -> None:
    result, drawn = moving_pair(), figure_of("a pair")
    for role, rung in (("prediction", result.pred_rung), ("reference", result.ref_rung)):
        for scale in ("block", "pixel"):
            line = one(drawn, Line2D, f"spectrum/{role}/{scale}")
            np.testing.assert_allclose(line.get_ydata(), rung.spectra[f"y/{scale}"].mean_power)
            np.testing.assert_allclose(line.get_xdata(), np.arange(1, 17) / 32)


def test_an_alternation_is_drawn_as_a_third_and_two_thirds_in_the_last_two_bins() -> None:
    flips = frames(*[127, 129] * 32)
    line = one(figure(analyze(flips)), Line2D, "spectrum/video/block")
    np.testing.assert_allclose(line.get_ydata()[-2:], [1 / 3, 2 / 3], rtol=1e-3)


def test_no_power_at_all_is_drawn_at_the_lower_edge_which_is_said() -> None:
    drawn = figure_of("identical and still")
    line = one(drawn, Line2D, "spectrum/prediction/block")
    assert len(set(line.get_ydata())) == 1
    rounding = artists(drawn, Line2D, "rounding")[0]
    assert line.get_ydata()[0] == pytest.approx(1e-4 * rounding.get_ydata()[0])
    assert line.axes.get_ylim()[0] < line.get_ydata()[0]
    assert "lower edge: no power" in all_text(drawn)


def test_the_two_sides_differ_by_more_than_colour() -> None:
    drawn = figure_of("a pair")
    ours, theirs = (
        one(drawn, Line2D, f"spectrum/{role}/block") for role in ("prediction", "reference")
    )
    assert ours.get_color() != theirs.get_color()
    assert ours.get_linestyle() != theirs.get_linestyle()


def test_a_line_is_marked_with_its_frequency_in_hertz() -> None:
    result = compare(tone(12 / 32), np.full((64, 8, 8), 128 / 255), fps=24)
    drawn = figure(result)
    assert [text.get_text() for text in artists(drawn, Text, "line")] == ["9 Hz"]
    (mark,) = artists(drawn, Line2D, "line")
    np.testing.assert_allclose(mark.get_xdata(), 12 / 32, atol=1e-3)


def test_a_line_of_a_video_without_a_rate_is_marked_in_cycles_per_frame() -> None:
    drawn = figure(analyze(tone(12 / 32)))
    assert [text.get_text() for text in artists(drawn, Text, "line")] == ["0.375 cycles/frame"]
    assert not any(text.get_text() == "Hz" for text in shown_texts(drawn))


def test_lines_close_together_are_marked_without_touching() -> None:
    count = np.arange(256)
    wave = sum(np.cos(2 * math.pi * f * count) for f in 0.2 + 0.035 * np.arange(6))
    video = np.broadcast_to((128 + 4 * wave)[:, None, None] / 255, (256, 8, 8)).copy()
    drawn = figure(analyze(video, segment=256, fps=24))
    renderer = FigureCanvasAgg(drawn).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in artists(drawn, Text, "line")]
    assert len(boxes) == 6
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_the_upper_axis_is_the_lower_one_times_the_rate() -> None:
    drawn = figure_of("a pair")
    lower = one(drawn, Line2D, "spectrum/prediction/block").axes
    (upper,) = lower.child_axes
    np.testing.assert_allclose(upper.get_xlim(), (0, 12))
    assert upper.get_xlabel() == "Hz"


def test_every_band_has_its_place_in_the_spectrum() -> None:
    drawn = figure_of("a pair")
    edges = {}
    for bar in artists(drawn, Rectangle, "band/"):
        edges[bar.get_gid()] = (bar.get_x() / 2, (bar.get_x() + bar.get_width()) / 2)
    bands = moving_pair().transform.bands
    assert len(edges) == len(bands)
    for i, band in enumerate(bands):
        np.testing.assert_allclose(edges[f"band/{i}"], (band.low, band.high), atol=0.003)


def test_the_histograms_and_the_still_share_make_all_of_the_cells() -> None:
    result = compare(np.where(np.arange(8) < 2, film(40, 8, 8, amplitude=3), 90), film(40, 8, 8))
    drawn = figure(result)
    widths = np.diff(10 * np.log10(EDGES))
    for steps in artists(drawn, StepPatch, "histogram/prediction/block"):
        share = float((steps.get_data()[0] * widths).sum())
        band = int(steps.get_gid().rpartition("/")[2])
        still = one(drawn, Text, f"outside/prediction/{band}").get_text()
        assert share == pytest.approx(25, abs=1e-6)
        assert still == "75 % still"
        np.testing.assert_allclose(steps.get_data()[1], np.sqrt(2 * EDGES))


def test_a_sine_is_found_at_its_amplitude_in_the_histogram() -> None:
    drawn = figure(analyze(tone(12 / 32), fps=24))
    steps = one(drawn, StepPatch, "histogram/video/block/2")
    values, edges = steps.get_data()[0], steps.get_data()[1]
    peak = int(values.argmax())
    assert edges[peak] <= 4 <= edges[peak + 1] * 1.001
    assert np.count_nonzero(values) == 1


def test_the_bars_are_the_excess_of_every_band_and_its_value_is_printed() -> None:
    result, drawn = moving_pair(), figure_of("a pair")
    bars = {bar.get_gid(): bar.get_width() for bar in artists(drawn, Rectangle, "bar/")}
    assert bars == {
        f"bar/{row.plane}/{row.scale}/{row.band}": row.excess_db for row in result.table
    }
    printed = all_text(drawn).split("\n")
    for row in result.table:
        assert f"{row.excess_db:+.1f}".replace("-", "−") in printed or abs(row.excess_db) < 0.05


def test_colour_has_bars_of_its_own() -> None:
    drawn = figure_of("colour")
    planes = {bar.get_gid().split("/")[1] for bar in artists(drawn, Rectangle, "bar/")}
    assert planes == {"y", "cb", "cr"}
    assert "Excess of Cr by band" in all_text(drawn)


def test_the_bars_of_a_video_alone_are_its_levels() -> None:
    drawn = figure(analyze(frames(*[127, 129] * 32)))
    bar = one(drawn, Rectangle, "bar/y/block/HF")
    assert bar.get_width() == pytest.approx(1, rel=1e-3)
    assert "high-frequency energy (includes motion) 1.00 rms code values" in all_text(drawn)


def test_the_map_shows_where_the_prediction_flickers() -> None:
    place = places.place(view(moving_pair()))
    left, right = place.values[:, :14].mean(), place.values[:, 18:].mean()
    assert place.signed
    assert abs(left) < 0.05
    assert right > 0.5
    image = one(figure_of("no motion"), matplotlib.image.AxesImage, "map").get_array()
    red, blue = (image[:, -60:, k].mean() for k in (0, 2))
    assert red > 2 * blue


def test_the_map_of_grids_that_differ_is_that_of_the_prediction() -> None:
    place = places.place(view(situation("different shapes")))
    assert not place.signed
    assert place.values.shape == (24, 64)
    assert place.what.startswith("prediction")


def test_the_curve_in_time_is_the_series_of_the_headline_band() -> None:
    result = situation("no motion")
    reading = result.pred.clips[0].readings[32]
    (line,) = artists(figure(result), Line2D, "time/prediction")
    np.testing.assert_allclose(line.get_ydata() ** 2, reading.series["y/block"][:, 2])
    np.testing.assert_allclose(line.get_xdata(), (np.array(reading.starts) + 16) / 24)
    assert line.axes.get_xlabel() == "time (s)"


def test_the_map_of_the_flicker_lies_over_the_picture_where_it_is() -> None:
    """Tiles of 8x8 pixels of 72 x 100: the last four columns of pixels have none."""
    (shown,) = along.flicker_maps(view(blinking_alone()))
    assert shown.values.shape == (9, 12)
    np.testing.assert_allclose(shown.values[:, :2], 4, rtol=0.01)
    np.testing.assert_allclose(shown.values[:, 4:7], 0, atol=0.35)
    assert np.isnan(shown.values[:, 8:]).all()
    assert shown.cover == (1, 0.96)
    assert shown.aspect == pytest.approx(100 / 72, rel=0.01)
    drawn = figure_of("partly black")
    image = one(drawn, matplotlib.image.AxesImage, "flicker map/video").get_array()
    width = image.shape[1]
    blue = image[..., 2] - image[..., 0]  # what flickers is blue, all else is grey
    assert (blue[:, : int(0.23 * width)] > 0.05).all()
    assert np.abs(blue[:, int(0.65 * width) :]).max() < 1e-9
    assert "grey: not measured" in all_text(drawn)


def test_both_maps_have_one_scale_of_colours() -> None:
    drawn = figure_of("a pair")
    ours, theirs = (
        one(drawn, matplotlib.image.AxesImage, f"flicker map/{role}").get_array()
        for role in ("prediction", "reference")
    )
    tinted = [float((image[..., 2] - image[..., 0]).mean()) for image in (ours, theirs)]
    assert tinted[0] > 3 * tinted[1]


def test_the_flicker_in_time_is_the_series_of_the_measurement_in_rms() -> None:
    result, drawn = moving_pair(), figure_of("a pair")
    for role, side in (("prediction", result.pred), ("reference", result.ref)):
        motion = side.clips[0].motion
        assert motion is not None
        (line,) = artists(drawn, Line2D, f"flicker/{role}")
        np.testing.assert_allclose(line.get_ydata() ** 2, motion.series.clip(0))
        np.testing.assert_allclose(line.get_xdata(), np.array(motion.frames) / 24)
        assert line.axes.get_xlabel() == "time (s)"
    (least,) = artists(drawn, Line2D, "none detected")
    np.testing.assert_allclose(least.get_ydata(), 0.1**0.5)


def test_the_flicker_in_time_has_gaps_where_it_was_not_measured() -> None:
    lines = artists(figure_of("gaps in the flicker"), Line2D, "flicker/video/")
    assert [len(line.get_xdata()) for line in lines] == [10, 8, 17]


def test_the_energy_has_a_map_and_a_curve_only_where_the_verdict_is_about_it() -> None:
    assert not artists(figure_of("a pair"), Line2D, "time/")
    assert not artists(figure_of("partly black"), Line2D, "time/")
    for name in ("no motion", "no motion alone", "minutes"):
        assert artists(figure_of(name), Line2D, "time/")
        assert not artists(figure_of(name), Line2D, "flicker/")


@pytest.mark.parametrize("name", ["no motion", "no motion alone"])
def test_a_figure_without_the_flicker_says_so_and_why(name: str) -> None:
    assert "Motion-compensated flicker not measured: switched off" in all_text(figure_of(name))


def test_every_shot_has_a_curve_of_its_own() -> None:
    drawn = figure_of("shots")
    assert len(artists(drawn, Line2D, "flicker/video/")) == 3
    cuts = [line.get_xdata()[0] for line in artists(drawn, Line2D, "cut")]
    np.testing.assert_allclose(cuts, [2.0, 4.8])


def test_hundreds_of_segments_are_one_curve() -> None:
    drawn = figure_of("minutes")  # too small a picture for its motion
    (line,) = artists(drawn, Line2D, "time/prediction")
    assert len(line.get_xdata()) == 249


def test_three_frames_show_the_second_difference() -> None:
    drawn = figure_of("three frames")
    assert not artists(drawn, Line2D, "spectrum/")
    for role, value in (("prediction", 1), ("reference", 0)):
        marks = one(drawn, Line2D, f"second difference/{role}")
        np.testing.assert_allclose(marks.get_ydata(), value, atol=1e-6)
    assert "3 frames hold no spectrum" in all_text(drawn)
    assert "energy (includes motion) +13.9 dB of the second difference" in all_text(drawn)


def test_the_head_says_the_verdict_then_the_flicker_then_the_energy() -> None:
    result, drawn = moving_pair(), figure_of("a pair")
    text, motion = all_text(drawn), result.motion
    assert motion is not None
    verdict = one(drawn, Text, "title")
    headline = one(drawn, Text, "headline")
    assert verdict.get_text() == result.verdict[0].upper() + result.verdict[1:]
    assert headline.get_text() == f"Motion-compensated flicker excess {motion.excess_db:+.1f} dB"
    assert f"pred {motion.pred.flicker:.2f}, ref {motion.ref.flicker:.2f} code²" in text
    energy = f"high-frequency energy (includes motion) +{result.energy_db:.1f} dB in HF"
    (beside,) = [found for found in shown_texts(drawn) if energy in found.get_text()]
    heights = [found.get_position()[1] for found in (verdict, headline, beside)]
    assert heights == sorted(heights, reverse=True)
    sizes = [float(found.get_fontsize()) for found in (verdict, headline, beside)]
    assert sizes == sorted(sizes, reverse=True)
    assert "60 frames, 24 frames/s, 32 × 24, 3 segments" in text
    assert "flickerscope 0." in text


@pytest.mark.parametrize(
    "name",
    [
        "$x_1$ & {y}^2.mp4",
        "_hidden_.mp4",
        "<b>bold</b>.mp4",
        r"\alpha%d\\.mp4",
        "Ünï-Мир-Ελλάς.mp4",
    ],
)
def test_a_name_is_shown_as_it_is_written(name: str) -> None:
    drawn = figure(renamed(shots_alone(), name))
    text = one(drawn, Text, "name/video")
    assert text.get_text() == name.rpartition("/")[2]
    assert not text.get_parse_math()


def test_band_names_are_shown_as_they_are_written() -> None:
    drawn = figure_of("bands of one's own")
    texts = [text for text in shown_texts(drawn) if text.get_text() == "mid $x_1$"]
    assert texts
    assert not any(text.get_parse_math() for text in texts)


@pytest.mark.parametrize(
    "name", ["two\nlines\t.mp4", "日本語.mp4", "\U0001f3ac.mp4", "lone\udc80.mp4", "مرحبا.mp4", ""]
)
def test_signs_that_no_font_has_neither_warn_nor_fail(name: str) -> None:
    data = io.BytesIO()
    save_figure(renamed(shots_alone(), name), data)
    assert data.getvalue().startswith(b"\x89PNG")


def test_control_characters_are_written_out() -> None:
    assert literal("two\nlines\x1b") == r"two\nlines\x1b"
    assert literal("lone\udc80") == "lone\N{REPLACEMENT CHARACTER}"


def test_names_alike_are_told_apart_by_their_folders() -> None:
    drawn = figure(renamed(moving_pair(), "/data/ours/a.mp4", "/data/truth/a.mp4"))
    names = [text.get_text() for text in artists(drawn, Text, "name/")]
    assert names == [str(Path("ours/a.mp4")), str(Path("truth/a.mp4"))]


def test_a_long_name_loses_its_middle() -> None:
    drawn = figure(renamed(shots_alone(), LONG_NAME))
    text = one(drawn, Text, "name/video").get_text()
    assert text.startswith("a_very_") and text.endswith("long_name.mp4")
    assert text.count("…") == 1


def test_shortened_text_fits_and_wrapped_text_keeps_its_words() -> None:
    assert text_width(shorten(LONG_NAME, 1.0)) <= 1.0
    assert shorten("short", 1.0) == "short"
    assert shorten("anything", 0.01) == ""
    words = "one two three four five six seven eight nine ten"
    lines = wrap(words, 1.0, most=9)
    assert " ".join(lines) == words
    assert all(text_width(line) <= 1.0 for line in lines)
    assert len(wrap(words, 0.8, most=2)) == 2


def test_warnings_name_the_file_without_its_folders() -> None:
    result = renamed(shots_alone(), "/a/long/way/to/the.mp4")
    clips = (replace(result.clips[0], warnings=("odd",)),)
    assert "Warning: the.mp4: odd" in all_text(figure(replace(result, clips=clips)))


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_the_same_result_gives_the_same_file(kind: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{k}.{kind}" for k in "ab"]
    for file in files:
        save_figure(moving_pair(), file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b"flickerscope" in files[0].read_bytes()


def test_what_the_user_has_set_neither_shows_nor_is_changed() -> None:
    plain, mine = io.BytesIO(), io.BytesIO()
    save_figure(moving_pair(), plain, dpi=50)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.pad_inches": 3}):
        before = dict(matplotlib.rcParams)
        save_figure(moving_pair(), mine, dpi=50)
        assert dict(matplotlib.rcParams) == before
    assert plain.getvalue() == mine.getvalue()


def test_the_png_is_seven_inches_wide_at_the_resolution_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "figure.png"
    save_figure(moving_pair(), file, dpi=100)
    assert matplotlib.image.imread(file).shape[1] == 720


def test_a_file_without_a_suffix_keeps_its_name_and_another_suffix_is_refused(
    tmp_path: Path,
) -> None:
    save_figure(moving_pair(), tmp_path / "figure", dpi=50)
    assert [file.name for file in tmp_path.iterdir()] == ["figure"]
    with pytest.raises(OutputError, match="png"):
        save_figure(moving_pair(), tmp_path / "figure.bmp")
    with pytest.raises(OutputError, match="nowhere"):
        save_figure(moving_pair(), tmp_path / "nowhere" / "figure.png", dpi=50)


def test_pyplot_with_its_global_state_is_never_loaded() -> None:
    code = "import sys, flickerscope.report.figure; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_real_pair_is_drawn_without_overlaps(media: Callable[[str], Path]) -> None:
    files = (media(f"pairs/fv_wan13_hiker/{name}.mp4") for name in ("gen_flash", "ref"))
    result = compare(*files)
    check_layout(figure(result))
