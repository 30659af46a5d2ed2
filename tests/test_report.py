"""What a report holds: strict JSON of the shipped schema, numbers that agree, and the table."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
import reference
from reference import as_flat_video, textured

import flickerscope
from flickerscope import Measurement, Settings, analyze, compare
from flickerscope.histogram import BINS
from flickerscope.report import document, table

BLOCK_ROWS = 64
ROWS, COLUMNS = 24, 36


def footage(frames=40, rows=ROWS, columns=COLUMNS, seed=0, sigma=3.0):
    """uint8 noise on a slow drift."""
    rng = np.random.default_rng(seed)
    x = 128 + np.cumsum(rng.normal(0, 1, (frames, rows, columns)), axis=0)
    return (x + rng.normal(0, sigma, x.shape)).round().clip(0, 255).astype(np.uint8)


def colour(frames=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(60, 190, (frames, 3, ROWS, COLUMNS), dtype=np.uint8)


def alternation(frames, size=1.0):
    return 128 + size * (-1.0) ** np.arange(frames)


def still(frames=40):
    return textured(np.full(frames, 128.0), ROWS, COLUMNS)


def flat(value, frames=40):
    return np.full((frames, 24, 32), value, np.uint8)


def two_shots():
    """Two scenes, the second one too short for a segment of 32."""
    rng = np.random.default_rng(5)
    first, second = (rng.integers(0, 256, (ROWS, COLUMNS), dtype=np.uint8) for _ in range(2))
    return np.concatenate([np.repeat(first[None], 40, 0), np.repeat(second[None], 20, 0)])


def strict(text: str) -> Any:
    """Parse JSON; NaN, Infinity and a name given twice are errors."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    def unique(pairs):
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names)
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)


VALIDATOR = jsonschema.Draft202012Validator(document.schema())


def plain(result) -> Any:
    """The report of a result, through its text, valid against the schema."""
    if isinstance(result, Measurement):
        result = [result]
    if isinstance(result, list):
        made = document.analysis_document(result, "cpu")
    else:
        made = document.comparison_document(result)
    report = strict(document.to_json(made))
    VALIDATOR.validate(report)
    return report


def row_of(report, plane, scale, band):
    (found,) = [
        row
        for row in report["results"]
        if (row["plane"], row["scale"], row["band"]) == (plane, scale, band)
    ]
    return found


def cells_of(scale, rows=ROWS, columns=COLUMNS):
    """Cells of a luma plane, by the definition of the scales."""
    high = min(BLOCK_ROWS, rows)
    return {
        "pixel": rows * columns,
        "block": high * min(columns, round(high * columns / rows)),
        "global": 1,
    }[scale]


COMPARISONS = {
    "ordinary": lambda: compare(footage(49, seed=1, sigma=5), footage(81, seed=2), fps=24),
    "identical": lambda: compare(footage(), footage(), fps=24),
    "flat": lambda: compare(flat(128), flat(90), fps=24),
    "all black": lambda: compare(flat(0), flat(0), fps=24),
    "all white": lambda: compare(flat(255), flat(0)),
    "three frames": lambda: compare(footage(3, seed=1), footage(3, seed=2)),
    "five frames": lambda: compare(footage(5, seed=1), footage(40, seed=2), fps=24),
    "short": lambda: compare(footage(9, seed=1), footage(9, seed=2), fps=24),
    "still reference": lambda: compare(textured(alternation(40), ROWS, COLUMNS), still(), fps=24),
    "still prediction": lambda: compare(still(), textured(alternation(40, 9), ROWS, COLUMNS)),
    "no rate": lambda: compare(footage(seed=1), footage(seed=2)),
    "colour": lambda: compare(colour(seed=1), colour(seed=2), fps=30, planes="yuv"),
    "one pixel": lambda: compare(footage(40, 1, 1, seed=1), footage(40, 1, 1, seed=2), fps=24),
    "own bands": lambda: compare(
        footage(seed=1), footage(seed=2), fps=24, bands="slow:1-3Hz, quick:3-30Hz"
    ),
    "one scale": lambda: compare(footage(seed=1), footage(seed=2), scales=("global",)),
    "shots": lambda: compare(two_shots(), footage(60), fps=24),
    "boxcar": lambda: compare(footage(seed=1), footage(seed=2), window="boxcar", segment=16),
    "several clips": lambda: compare(
        analyze(footage(50, seed=1), fps=24) + analyze(footage(40, seed=3), fps=30),
        analyze(footage(seed=2), fps=24),
    ),
    "not paired": lambda: compare(footage(seed=1), footage(seed=2), paired=False),
    "many segments": lambda: compare(footage(120, seed=1), footage(120, seed=1, sigma=4), fps=24),
}

ANALYSES = {
    "ordinary": lambda: analyze(footage(81, seed=2), fps=24),
    "flat": lambda: analyze(flat(128), fps=24),
    "all black": lambda: analyze(flat(0), fps=24),
    "three frames": lambda: analyze(footage(3)),
    "still": lambda: analyze(still(), fps=24),
    "no rate": lambda: analyze(footage()),
    "colour": lambda: analyze(colour(), fps=30, planes="yuv"),
    "shots": lambda: analyze(two_shots(), fps=24),
    "one pixel": lambda: analyze(footage(40, 1, 1)),
    "ladder": lambda: analyze(footage(50), fps=24, ladder=True),
    "several videos": lambda: [analyze(footage(40, seed=s), fps=24) for s in range(3)],
    "a tone": lambda: analyze(as_flat_video(alternation(64, 5)), fps=24),
}


@functools.cache
def compared(case):
    return COMPARISONS[case]()


@functools.cache
def analyzed(case):
    return ANALYSES[case]()


def report_of(cases, case):
    """A report of its own for every test, validated once."""
    return json.loads(_text_of(case, cases is COMPARISONS))


@functools.cache
def _text_of(case, is_comparison):
    return json.dumps(plain(compared(case) if is_comparison else analyzed(case)))


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", COMPARISONS)
def test_every_comparison_is_strict_json_of_the_schema(case):
    report = report_of(COMPARISONS, case)
    assert (report["format"], report["kind"]) == (2, "comparison")
    assert report["version"] == flickerscope.__version__


@pytest.mark.parametrize("case", ANALYSES)
def test_every_analysis_is_strict_json_of_the_schema(case):
    report = report_of(ANALYSES, case)
    assert (report["format"], report["kind"]) == (2, "analysis")
    assert len(report["videos"]) == (3 if case == "several videos" else 1)


def test_the_schema_is_itself_a_schema_that_describes_both_kinds():
    schema = document.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def every_object(report, path=()):
    """Path of every object in a report whose names are fixed, one of a kind."""
    free = {"spectra", "counts", "power"}  # by plane, scale and band
    if isinstance(report, dict):
        if not free.intersection(path[-2:]) and path[-3:-2] != ("counts",):
            yield path
        for name, value in report.items():
            yield from every_object(value, (*path, name))
    elif isinstance(report, list) and report and isinstance(report[0], dict):
        yield from every_object(report[0], (*path, 0))


def at(report, path):
    for step in path:
        report = report[step]
    return report


@functools.cache
def reports_with_everything():
    flicker, options = alternation(120, 4), {"fps": 24, "scales": ("block",)}
    moving = footage(120, 16, 24, seed=2) / 255
    flickering = as_flat_video(flicker, 16, 24) / 2 + moving / 2
    comparison = plain(compare(flickering, moving, **options))
    assert comparison["lines"]
    assert comparison["paired"]["bands"]
    analysis = plain(analyze(flickering, **options))
    assert analysis["videos"][0]["lines"]
    assert comparison["motion"]["pred"] and comparison["motion"]["ref"]
    assert analysis["videos"][0]["motion"]["video"]
    return comparison, analysis


def shortened(report):
    """A copy of it with two items of every list but histograms: all are read again and again."""
    if isinstance(report, dict):
        return {name: shortened(value) for name, value in report.items()}
    if not isinstance(report, list):
        return report
    return [shortened(item) for item in (report if len(report) == BINS else report[:2])]


def accepted(report, path):
    """What the schema should not take: an unknown name, or an object without one of its names."""
    target, kept = at(report, path), dict(at(report, path))
    for name in (*kept, "surprise"):
        if name in kept:
            del target[name]
        else:
            target[name] = 1
        if VALIDATOR.is_valid(report):
            yield path, name
        target.clear()
        target.update(kept)


@pytest.mark.parametrize("kind", ["comparison", "analysis"])
def test_the_schema_rejects_a_missing_and_an_unknown_name_in_every_object(kind):
    (report,) = (shortened(r) for r in reports_with_everything() if r["kind"] == kind)
    assert VALIDATOR.is_valid(report)
    paths = list(every_object(report))
    assert len(paths) > 10
    assert [bad for path in paths for bad in accepted(report, path)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("headline", "value"), "3"),
        (("headline", "unit"), "decibel"),
        (("headline", "name"), "flicker"),
        (("energy", "value"), None),
        (("energy", "name"), "high-frequency energy"),
        (("motion", "pred", "coverage"), 1.5),
        (("motion", "pred", "flicker"), None),
        (("motion_maps", "pred", 0, 0, 0), "none"),
        (("format",), 1),
        (("kind",), "measurement"),
        (("verdict", "text"), "flickers"),
        (("results",), []),
        (("results", 0, "pred_power"), -1),
        (("results", 0, "plane"), "u"),
        (("histograms", "counts", "y/block", "HF", "pred", 0), 1.5),
        (("histograms", "counts", "y/block", "HF", "pred"), [1, 2, 3]),
        (("settings", "window"), "hamming"),
        (("inputs",), []),
    ],
)
def test_the_schema_rejects_values_that_cannot_be(path, value):
    report = plain(compare(footage(seed=1), footage(seed=2), fps=24))
    at(report, path[:-1])[path[-1]] = value
    assert not VALIDATOR.is_valid(report)


def test_what_is_not_a_number_never_becomes_json():
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            document.to_json({"value": value})


def test_names_in_any_script_are_kept_as_they_are():
    assert "瞬き 😀" in document.to_json({"path": "瞬き 😀"})


# --- Numbers that agree ---------------------------------------------------------------------------

SPECTRAL = [
    *(
        "ordinary",
        "identical",
        "still reference",
        "no rate",
        "colour",
        "own bands",
        "several clips",
    ),
    *("boxcar", "short", "shots", "one pixel"),
]


@pytest.mark.parametrize("case", SPECTRAL)
def test_the_excess_follows_from_the_powers_and_the_rounding_floor(case):
    report = report_of(COMPARISONS, case)
    bands = {band["name"]: band for band in report["bands"]}
    assert {row["band"] for row in report["results"]} == set(bands)
    for band in bands.values():
        floor = reference.rounding_floor(band["low"], band["high"])
        assert band["epsilon"] == pytest.approx(floor, rel=1e-12)
    for row in report["results"]:
        eps = bands[row["band"]]["epsilon"]
        expected = 10 * math.log10((row["pred_power"] + eps) / (row["ref_power"] + eps))
        assert row["excess_db"] == pytest.approx(expected, abs=1e-9)
        assert row["difference"] == row["pred_power"] - row["ref_power"]
        assert row["pred_rms"] == pytest.approx(math.sqrt(row["pred_power"]), rel=1e-12)
        assert row["ref_rms"] == pytest.approx(math.sqrt(row["ref_power"]), rel=1e-12)


def test_the_excess_of_three_frames_follows_from_the_floor_of_a_second_difference():
    report = report_of(COMPARISONS, "three frames")
    (band,) = report["bands"]
    assert band["epsilon"] == pytest.approx(0.375 * reference.ROUNDING, rel=1e-12)
    assert report["spectra"] == {}
    assert not report["segment"]["is_spectrum"]
    x = footage(3, seed=1).astype(float)
    y = (x[0] - 2 * x[1] + x[2]) / 4
    row = row_of(report, "y", "pixel", band["name"])
    assert row["pred_power"] == pytest.approx((y**2).mean(), rel=1e-5)


@pytest.mark.parametrize("case", SPECTRAL)
def test_the_spectrum_summed_over_a_band_is_the_power_of_the_band(case):
    report = report_of(COMPARISONS, case)
    frames = report["segment"]["frames"]
    assert report["spectra"]
    for name, spectrum in report["spectra"].items():
        plane, scale = name.split("/")
        assert spectrum["frequency"] == pytest.approx(
            [k / frames for k in range(1, frames // 2 + 1)], rel=1e-12
        )
        for band in report["bands"]:
            weights = reference.band_weights(band["low"], band["high"], frames)
            row = row_of(report, plane, scale, band["name"])
            for role in ("pred", "ref"):
                power = row[f"{role}_power"]
                assert weights @ spectrum[role] == pytest.approx(power, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("case", ["ordinary", "no rate", "colour", "shots", "a tone"])
def test_the_spectrum_of_a_lone_video_sums_to_its_bands_and_its_energy(case):
    (video,) = report_of(ANALYSES, case)["videos"]
    frames = video["segment"]["frames"]
    for name, spectrum in video["spectra"].items():
        plane, scale = name.split("/")
        for band in video["bands"]:
            weights = reference.band_weights(band["low"], band["high"], frames)
            row = row_of(video, plane, scale, band["name"])
            assert weights @ spectrum["video"] == pytest.approx(row["power"], rel=1e-9, abs=1e-15)
            assert row["rms"] == pytest.approx(math.sqrt(row["power"]), rel=1e-12)
    energy = video["energy"]
    row = row_of(video, "y", "block", "HF")
    assert (energy["plane"], energy["scale"], energy["band"]) == ("y", "block", "HF")
    assert (energy["value"], energy["power"]) == (row["rms"], row["power"])
    assert energy["unit"] == "rms code values"


def test_the_spectrum_is_that_of_the_definition():
    """Two segments of 32 from 40 frames, computed without the package."""
    x = footage(40, seed=4)
    (video,) = plain(analyze(x, fps=24))["videos"]
    starts = video["series"]["start"]
    assert starts == [0, 8]
    segments = [x[s : s + 32].astype(np.float64) for s in starts]
    pixels = np.mean([reference.power(s)[1:].mean(axis=(1, 2)) for s in segments], axis=0)
    assert video["spectra"]["y/pixel"]["video"] == pytest.approx(pixels.tolist(), rel=1e-4)
    whole = [reference.power(s.mean(axis=(1, 2)))[1:] for s in segments]
    expected = np.mean(whole, axis=0).tolist()
    assert video["spectra"]["y/global"]["video"] == pytest.approx(expected, rel=1e-3)
    hertz = [24 * f for f in video["spectra"]["y/pixel"]["frequency"]]
    assert video["spectra"]["y/pixel"]["frequency_hz"]["video"] == pytest.approx(hertz)


@pytest.mark.parametrize("case", ["ordinary", "identical", "flat", "three frames", "one pixel"])
def test_histograms_count_every_sample_once(case):
    report = report_of(COMPARISONS, case)
    rows, columns = (report["inputs"][0][side] for side in ("height", "width"))
    for name, bands in report["histograms"]["counts"].items():
        cells = cells_of(name.split("/")[1], rows, columns)
        assert list(bands) == [band["name"] for band in report["bands"]]
        for counts in bands.values():
            for role, bins in counts.items():
                assert sum(bins) == cells * report["segment"][role]["segments"]


def test_histograms_of_several_clips_add():
    report = report_of(COMPARISONS, "several clips")
    # 50 and 40 frames hold ceil(18/16) + 1 = 3 and ceil(8/16) + 1 = 2 segments of 32.
    assert report["segment"]["pred"]["segments"] == 5
    for name, bands in report["histograms"]["counts"].items():
        for counts in bands.values():
            assert sum(counts["pred"]) == 5 * cells_of(name.split("/")[1])
    assert [entry["role"] for entry in report["inputs"]] == ["pred", "pred", "ref"]
    assert [len(s["start"]) for s in report["series"]["pred"]] == [3, 2]
    assert len(report["maps"]["pred"]) == 2


def test_a_known_amplitude_lies_in_the_bin_that_holds_it():
    """+-3 alternation of every pixel: power 9 in HF, amplitude sqrt(18)."""
    (video,) = plain(analyze(textured(alternation(40, 3), ROWS, COLUMNS), fps=24))["videos"]
    histograms = video["histograms"]
    edges, counts = histograms["edges_power"], histograms["counts"]["y/pixel"]["HF"]["video"]
    assert histograms["edges_amplitude"] == pytest.approx(np.sqrt(2 * np.array(edges)).tolist())
    assert len(counts) == len(edges) + 1
    # A Hann window leaves a little of an alternation below the last but one bin; all in one bin.
    (filled,) = np.flatnonzero(counts)
    assert edges[filled - 1] <= 9.0 + 1e-3
    assert edges[filled] >= 9.0 - 1e-3
    assert counts[filled] == 2 * ROWS * COLUMNS


def test_still_cells_lie_below_the_lowest_edge():
    (video,) = plain(analyze(still(), fps=24))["videos"]
    for name, bands in video["histograms"]["counts"].items():
        for counts in bands.values():
            assert counts["video"][0] == 2 * cells_of(name.split("/")[1])
            assert not any(counts["video"][1:])


@pytest.mark.parametrize("case", ["ordinary", "colour", "shots", "three frames"])
def test_the_series_averaged_over_its_segments_is_the_power_of_the_band(case):
    report = report_of(COMPARISONS, case)
    for role in ("pred", "ref"):
        (series,) = report["series"][role]
        count = report["segment"][role]["segments"]
        assert len(series["start"]) == len(series["time"]) == len(series["shot"]) == count
        for name, bands in series["power"].items():
            plane, scale = name.split("/")
            for band, values in bands.items():
                assert len(values) == count
                row = row_of(report, plane, scale, band)
                assert np.mean(values) == pytest.approx(row[f"{role}_power"], rel=1e-5, abs=1e-12)


def test_the_map_averages_to_the_energy_and_lies_where_the_flicker_is():
    codes = np.full((40, ROWS, COLUMNS), 128.0)
    codes[:, 5:10, 15:30] += 4 * (-1.0) ** np.arange(40)[:, None, None]
    (video,) = plain(analyze(codes.astype(np.uint8), fps=24))["videos"]
    grid = np.array(video["map"])
    assert grid.shape == (ROWS, COLUMNS)  # fewer rows than 64: a block is a pixel
    assert grid.mean() == pytest.approx(video["energy"]["power"], rel=1e-4)
    inside = np.zeros((ROWS, COLUMNS), bool)
    inside[5:10, 15:30] = True
    assert grid[inside] == pytest.approx(16, rel=1e-3)
    assert not grid[~inside].any()


def test_starts_times_and_shots_are_those_of_the_definition():
    report = report_of(COMPARISONS, "shots")
    (pred,) = report["series"]["pred"]
    assert pred["start"] == [0, 8]
    assert pred["time"] == pytest.approx([0, 8 / 24])
    assert pred["shot"] == [0, 0]
    assert report["inputs"][0]["shots"] == [[0, 40], [40, 60]]
    counts = report["segment"]["pred"]
    assert (counts["skipped_shots"], counts["skipped_frames"]) == (1, 20)


def test_the_numbers_of_the_report_are_those_of_the_comparison():
    result = compare(footage(49, seed=1, sigma=5), footage(81, seed=2), fps=24)
    report = plain(result)
    assert report["energy"]["value"] == report["energy"]["excess_db"] == result.energy_db
    assert report["headline"]["unit"] == report["energy"]["unit"] == "dB"
    ruling = result.ruling
    assert report["verdict"] == {
        "text": ruling.verdict,
        "basis": ruling.basis,
        "ground": ruling.ground,
        "value_db": ruling.value_db,
    }
    assert report["floor_db"] == result.floor_db
    assert report["share"] == {"pred": result.pred_share, "ref": result.ref_share}
    assert report["segment"]["frames"] == result.segment
    assert report["device"] == result.device == "cpu"
    assert Settings.from_dict(report["settings"]) == result.settings
    assert report["warnings"] == list(result.warnings)
    assert report["notes"] == list(result.notes)
    assert len(report["results"]) == len(result.table)
    for row, ours in zip(report["results"], result.table, strict=True):
        for name in row:
            assert row[name] == getattr(ours, name)
    energy = {name: report["energy"][name] for name in report["results"][0]}
    assert energy in report["results"]
    change = result.picture
    assert report["picture"]["sharpness_db"] == change.sharpness_db
    assert report["picture"]["contrast_db"] == change.contrast_db
    assert report["picture"]["brightness"] == change.brightness
    less = result.energy_db - change.sharpness_db
    assert report["picture"]["excess_minus_sharpness_db"] == pytest.approx(less)
    for name, spectrum in report["spectra"].items():
        assert spectrum["pred"] == result.pred_rung.spectra[name].mean_power.tolist()
        assert spectrum["ref"] == result.ref_rung.spectra[name].mean_power.tolist()


def test_the_paired_part_holds_what_was_read():
    result = compare(footage(120, seed=1), footage(120, seed=1, sigma=4), fps=24)
    report = plain(result)["paired"]
    assert (report["lag"], report["segments"]) == (0, result.paired.segments)
    assert [band["band"] for band in report["bands"]] == [b.band for b in result.paired.bands]
    for band, ours in zip(report["bands"], result.paired.bands, strict=True):
        for name in band:
            assert band[name] == getattr(ours, name)
    assert report["error"] == result.paired.error.tolist()
    assert len(report["frequencies"]) == len(report["error"]) == 16
    assert report_of(COMPARISONS, "not paired")["paired_reason"] == "switched off"


def test_lines_give_frequency_amplitude_and_share():
    t = np.arange(64)
    tone = as_flat_video(128 + 5 * np.sin(2 * np.pi * 0.25 * t + 1))
    report = plain(compare(tone, as_flat_video(np.full(64, 128.0)), fps=24))
    assert {line["scale"] for line in report["lines"]} == {"pixel", "block", "global"}
    for line in report["lines"]:
        assert line["frequency"] == pytest.approx(0.25, abs=1e-3)
        assert line["frequency_hz"] == pytest.approx(6, abs=0.03)
        assert line["amplitude"] == pytest.approx(5, rel=1e-3)
        assert line["ref_amplitude"] == 0
        assert line["share"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("fps", [24, None])
def test_hertz_are_cycles_a_frame_times_the_rate_or_not_known(fps):
    report = plain(compare(footage(seed=1), footage(seed=2), fps=fps))
    for band in report["bands"]:
        for end in ("low", "high"):
            hertz = band[f"{end}_hz"]
            assert hertz == (None if fps is None else pytest.approx(24 * band[end]))
    for spectrum in report["spectra"].values():
        assert {role: hertz is None for role, hertz in spectrum["frequency_hz"].items()} == {
            "pred": fps is None,
            "ref": fps is None,
        }
    times = report["series"]["pred"][0]["time"]
    assert times == pytest.approx([0, 8 if fps is None else 8 / 24])


def test_a_report_names_version_flow_window_bands_and_rates_in_one_line():
    one = plain(compare(footage(seed=1), footage(seed=2), fps=24))["citation"]
    assert one == (
        f"flickerscope {flickerscope.__version__}, motion-compensated flicker (flow lk, 72 rows), "
        "Hann window of 32 frames, cycles bands, HF at block scale, 24 frames/s"
    )
    options: dict[str, Any] = {
        "motion": False,
        "window": "boxcar",
        "segment": 16,
        "bands": "quick:0.3-0.5",
        "scales": ("global",),
    }
    other = plain(compare(footage(seed=1), footage(seed=2), **options))["citation"]
    assert other == (
        f"flickerscope {flickerscope.__version__}, boxcar window of 16 frames, custom bands, "
        "quick at global scale, unknown rate"
    )
    two = plain(
        compare(
            analyze(footage(seed=1), fps=24),
            analyze(footage(seed=2), fps=24000 / 1001),
            axis="frame",
        )
    )
    assert two["citation"].endswith("24 frames/s and 23.976 frames/s")


def test_bands_without_frequencies_are_left_out_of_the_report():
    """LF starts at 1.5/N: none is left at N = 12 or less."""
    report = report_of(COMPARISONS, "short")
    names = {band["name"] for band in report["bands"]}
    assert names == {"MF", "HF", "NYQ"}
    assert {row["band"] for row in report["results"]} == names
    assert all(set(bands) == names for bands in report["histograms"]["counts"].values())
    assert report["energy"]["band"] == "NYQ"


# --- Motion-compensated flicker -------------------------------------------------------------------


def blinking(amplitude, frames=24, rows=72, columns=100, margin=0):
    """A still texture, the whole of it brighter and darker in turn; black at the right edge."""
    picture = np.clip(textured([128.0], rows, columns)[0] * 255, 20, 235)
    codes = picture + amplitude * (-1.0) ** np.arange(frames)[:, None, None]
    if margin:
        codes[:, :, -margin:] = 0
    return codes.round().clip(0, 255).astype(np.uint8)


@functools.cache
def blinking_pair():
    """An alternation of +-2 reads 4 a^2 = 16."""
    return compare(blinking(2, margin=36), blinking(0), fps=24)


@functools.cache
def unmeasured_pair():
    return compare(blinking(2), blinking(0), fps=24, motion=False)


def test_the_headline_of_a_comparison_is_the_excess_along_the_motion():
    report = plain(blinking_pair())
    assert report["headline"] == {
        "name": "motion-compensated flicker",
        "unit": "dB",
        "higher_is_better": False,
        "value": report["motion"]["excess_db"],
        "reason": None,
    }
    assert report["motion"]["pred"]["flicker"] == pytest.approx(16, rel=0.01)
    assert report["motion"]["ref"]["flicker"] == pytest.approx(0, abs=1e-3)
    assert report["headline"]["value"] == pytest.approx(10 * math.log10(16.1 / 0.1), abs=0.1)
    names = list(report)
    order = [names.index(n) for n in ("verdict", "headline", "motion", "energy", "results")]
    assert order == sorted(order)


def test_the_headline_of_a_video_alone_is_its_rms_along_the_motion():
    (video,) = plain(analyze(blinking(2), fps=24))["videos"]
    assert video["headline"]["name"] == "motion-compensated flicker"
    assert video["headline"]["unit"] == "rms code values"
    assert video["headline"]["value"] == video["motion"]["video"]["rms"]
    assert video["headline"]["value"] == pytest.approx(4, rel=0.01)


def test_the_energy_stands_beside_it_under_its_own_name():
    (video,) = plain(analyze(blinking(2), fps=24))["videos"]
    for report in (plain(blinking_pair()), video):
        assert report["energy"]["name"] == "high-frequency energy (includes motion)"


def test_all_readings_of_both_sides_are_those_of_the_comparison():
    result = compared("colour")
    motion = plain(result)["motion"]
    for role in ("pred", "ref"):
        for name, value in motion[role].items():
            assert value == getattr(getattr(result.motion, role), name)
    for name in ("excess_db", "moving_db", "texture_db", "cb_db", "cr_db", "area_change"):
        assert motion[name] == getattr(result.motion, name)
    assert None not in (motion["cb_db"], motion["cr_db"])


def test_what_was_not_measured_of_the_map_and_the_series_is_null():
    """The black margin of 36 of 100 columns takes the last four columns of tiles of 8."""
    report = plain(blinking_pair())
    (pred,), (ref,) = (report["motion_maps"][role] for role in ("pred", "ref"))
    assert (len(pred), len(pred[0])) == (9, 12)
    for row in pred:
        assert [value is None for value in row] == [False] * 8 + [True] * 4
        assert row[:7] == pytest.approx([16] * 7, rel=0.02)
    assert not any(value is None for row in ref for value in row)
    (series,) = report["motion_series"]["pred"]
    assert series["frame"] == list(range(1, 23))
    assert series["time"] == pytest.approx([frame / 24 for frame in series["frame"]])
    assert series["flicker"] == pytest.approx([16] * 22, rel=0.02)
    assert len(series["step"]) == 22
    clip = blinking_pair().pred.clips[0]
    motion = clip.motion
    holes = np.where(np.arange(22) % 5 == 0, np.nan, motion.series)
    clip = replace(clip, motion=replace(motion, series=holes))
    alone = plain(replace(blinking_pair().pred, clips=(clip,)))["videos"][0]
    flicker = alone["motion_series"]["flicker"]
    assert [value is None for value in flicker] == [k % 5 == 0 for k in range(22)]


def test_a_series_without_a_clock_has_no_times():
    (video,) = plain(analyze(blinking(1)))["videos"]
    assert video["motion_series"]["time"] is None
    assert video["motion_series"]["frame"] == list(range(1, 23))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (unmeasured_pair, "switched off"),
        (lambda: compare(footage(4), footage(4, seed=1)), "4 frames without a cut, 5 are needed"),
        (lambda: compare(footage(40, 8, 12), footage(40, 8, 12, seed=1)), "16 pixels are needed"),
    ],
)
def test_where_it_was_not_measured_the_report_says_so_and_why(make, reason):
    result = make()
    for report in (plain(result), plain(result.pred)["videos"][0]):
        assert report["headline"]["value"] is None
        assert reason in report["headline"]["reason"]
        assert reason in report["motion"]["reason"]
        assert report["energy"]["value"] is not None
    report = plain(result)
    assert report["motion"]["pred"] is report["motion"]["excess_db"] is None
    assert report["motion_maps"] == report["motion_series"] == {"pred": [None], "ref": [None]}
    assert "motion-compensated" not in report["citation"]


def with_coverage(measurement, coverage):
    clips = tuple(
        replace(clip, motion=replace(clip.motion, coverage=coverage)) for clip in measurement.clips
    )
    return replace(measurement, clips=clips)


def test_a_motion_that_cannot_be_followed_gives_no_headline_but_all_readings():
    result = blinking_pair()
    for report in (
        plain(compare(result.pred, with_coverage(result.ref, 0.2))),
        plain(with_coverage(result.pred, 0.2))["videos"][0],
    ):
        assert report["headline"]["value"] is None
        assert "coverage 20 %" in report["headline"]["reason"]
        assert any(isinstance(side, dict) for side in report["motion"].values())


def test_an_incoherent_prediction_has_no_headline():
    result = compare(with_coverage(blinking_pair().pred, 0.1), moving_reference())
    report = plain(result)
    assert report["verdict"]["text"] == "incoherent"
    assert report["headline"]["value"] is None
    assert report["headline"]["reason"] == report["verdict"]["basis"]


def moving_reference():
    """A texture that moves by a pixel a frame."""
    texture = np.random.default_rng(3).normal(128, 20, (72, 140))
    smooth = np.mean([np.roll(texture, (i, j), (0, 1)) for i in range(3) for j in range(3)], 0)
    frames = [smooth[:, t : t + 100] for t in range(24)]
    return analyze(np.stack(frames).round().astype(np.uint8), fps=24)


def test_key_frames_and_repeats_are_counted():
    clip = replace(blinking_pair().pred.clips[0], keys=[0, 12], repeats=3)
    (video,) = plain(replace(blinking_pair().pred, clips=(clip,)))["videos"]
    assert (video["input"]["key_frames"], video["input"]["repeats"]) == (2, 3)


def test_the_table_leads_with_the_readings_along_the_motion():
    for case in ("colour", "ordinary", "blinking"):
        result = blinking_pair() if case == "blinking" else compared(case)
        report = plain(result)
        rows = read_csv(table.comparison_csv(result))
        leading = [row for row in rows if leads(row)]
        assert rows[: len(leading)] == leading
        first = leading[0]
        assert (first["plane"], first["band"]) == ("y", "motion-compensated")
        assert [row["headline"] for row in rows].index("true") == 0
        assert [row["headline"] for row in rows].count("true") == 1
        value = report["headline"]["value"]
        assert first["excess_db"] == ("" if value is None else str(value))
        assert first["reliable"] == str(value is not None).lower()
        assert first["reason"] == (report["headline"]["reason"] or "")
        assert float(first["pred_power"]) == report["motion"]["pred"]["flicker"]
        assert float(first["ref_rms"]) == report["motion"]["ref"]["rms"]
        by_name = {(row["plane"], row["band"]): row for row in leading}
        chroma = {plane for plane, band in by_name if band == "motion-compensated"} - {"y"}
        assert chroma == ({"cb", "cr"} if case == "colour" else set())
        for band in ("coverage", "area", "texture"):
            assert (("y", band) in by_name) == (report["motion"]["pred"][band] is not None)
            row = by_name.get(("y", band))
            if row is None:
                continue
            assert float(row["pred_share"]) == report["motion"]["pred"][band]
            assert row["pred_power"] == row["pred_rms"] == ""
        assert float(by_name["y", "pop"]["ref_power"]) == report["motion"]["ref"]["pop"]


def test_the_table_says_why_there_is_nothing_to_lead_with():
    pair = read_csv(table.comparison_csv(unmeasured_pair()))
    alone = read_csv(table.analysis_csv([unmeasured_pair().pred]))
    for rows in (pair, alone):
        (row,) = [row for row in rows if leads(row)]
        assert row is rows[0]
        assert (row["headline"], row["reason"]) == ("true", "switched off")
        assert row["reliable"] == "false"
    assert pair[0]["excess_db"] == pair[0]["pred_power"] == alone[0]["rms"] == ""


# --- The table ------------------------------------------------------------------------------------


def read_csv(text):
    """Rows of a table; every row has as many cells as the header."""
    reader = csv.DictReader(io.StringIO(text), restkey="too many", strict=True)
    rows = list(reader)
    assert all("too many" not in row and None not in row.values() for row in rows)
    return rows


def leads(row):
    """Whether a row of the table is about the motion-compensated flicker."""
    return row["scale"] == "along motion"


@pytest.mark.parametrize(
    "case", ["ordinary", "colour", "three frames", "short", "one scale", "own bands", "no rate"]
)
def test_the_table_agrees_with_the_report_row_by_row(case):
    result = compared(case)
    report = report_of(COMPARISONS, case)
    rows = [row for row in read_csv(table.comparison_csv(result)) if not leads(row)]
    keys = [(row["plane"], row["scale"], row["band"]) for row in rows]
    assert len(set(keys)) == len(keys)
    planes = ("y", "cb", "cr") if case == "colour" else ("y",)
    scales = ("global",) if case == "one scale" else ("pixel", "block", "global")
    assert keys == [(p, s, b["name"]) for p in planes for s in scales for b in report["bands"]]
    bands = {band["name"]: band for band in report["bands"]}
    for row, ours in zip(rows, report["results"], strict=True):
        assert (row["pred"], row["ref"]) == ("array", "array")
        assert row["verdict"] == report["verdict"]["text"]
        assert int(row["segment_frames"]) == report["segment"]["frames"]
        for end in ("low", "high"):
            assert float(row[end]) == bands[row["band"]][end]
        assert row["reliable"] == str(ours["reliable"]).lower()
        for name in ("pred_power", "ref_power", "difference", "pred_rms", "ref_rms", "excess_db"):
            assert float(row[name]) == ours[name]
        for name in ("wasserstein_db", "shift_db"):
            assert (float(row[name]) if row[name] else None) == ours[name]
        assert row["headline"] == "false"
        assert row["pred_share"] == row["ref_share"] == row["reason"] == ""


def test_the_table_of_several_videos_has_a_row_for_each_plane_scale_and_band_of_each():
    results = [analyze(footage(40, seed=s), fps=24) for s in range(3)]
    report, rows = plain(results), read_csv(table.analysis_csv(results))
    headlines = [float(row["rms"]) for row in rows if row["headline"] == "true"]
    assert headlines == [video["headline"]["value"] for video in report["videos"]]
    rows = [row for row in rows if not leads(row)]
    expected = [row for video in report["videos"] for row in video["results"]]
    assert len(rows) == 3 * 3 * 4
    for row, ours in zip(rows, expected, strict=True):
        assert (row["plane"], row["scale"], row["band"]) == (
            ours["plane"],
            ours["scale"],
            ours["band"],
        )
        assert (float(row["power"]), float(row["rms"])) == (ours["power"], ours["rms"])
        band = next(b for b in report["videos"][0]["bands"] if b["name"] == row["band"])
        assert (float(row["low"]), float(row["high"])) == (band["low"], band["high"])
        assert row["reliable"] == str(ours["reliable"]).lower()
        assert int(row["segment_frames"]) == 32
        assert row["video"] == "array"


def test_the_table_of_several_clips_names_them_all():
    result = compared("several clips")
    assert {row["pred"] for row in read_csv(table.comparison_csv(result))} == {"array + array"}


def test_band_names_with_quotes_survive_the_table():
    options = {"bands": 'say "quick" ; now:0.25-0.5'}
    result = compare(footage(seed=1), footage(seed=2), **options)
    rows = read_csv(table.comparison_csv(result))
    assert {row["band"] for row in rows if not leads(row)} == {'say "quick" ; now'}
    assert plain(result)["energy"]["band"] == 'say "quick" ; now'


# --- Along an axis in Hz --------------------------------------------------------------------------


def in_hertz():
    """The same still scene at two rates."""
    picture = footage(1, seed=3)
    fast, slow = np.repeat(picture, 160, 0), np.repeat(picture, 80, 0)
    bands = {"bands": "LF:-3.75Hz, MF:3.75-7.5Hz, HF:7.5-15Hz"}
    return compare(analyze(fast, fps=60, **bands), analyze(slow, fps=30, **bands), axis="hz")


def test_two_still_videos_of_different_rates_do_not_differ():
    result = in_hertz()
    report = plain(result)
    assert [row["pred_power"] for row in report["results"]] == [0.0] * 9
    assert [row["ref_power"] for row in report["results"]] == [0.0] * 9
    assert [row["excess_db"] for row in report["results"]] == [0.0] * 9
    assert report["verdict"]["text"] == "no difference found"


def test_a_band_in_hertz_is_the_same_band_on_both_sides():
    result = in_hertz()
    for ours, theirs in zip(*(side.bands for side in result.transforms), strict=True):
        assert ours.low * 60 == pytest.approx(theirs.low * 30)
        assert ours.high * 60 == pytest.approx(theirs.high * 30)
