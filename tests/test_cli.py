"""The command line: what it prints and writes, its exit codes, and how it fails."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest
import reference
from rich.cells import cell_len

import flickerscope
from flickerscope import cli, comparison
from flickerscope.report import figure
from flickerscope.video import encode

PNG = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"
COMMANDS = ("compare", "analyze", "demo", "experiment")
EPSILON = reference.rounding_floor(0.25, 0.5)
EXCESS = 10 * math.log10((9 + EPSILON) / EPSILON)
"""Of an alternation by +-3 over a still reference, dB in HF."""


def write(path, codes, *, rate=24, rows=24, columns=36, sigma=0.0, seed=0):
    """A code value a frame on a still texture, with noise of its own if asked for."""
    rng = np.random.default_rng(seed)
    texture = np.random.default_rng(7).normal(0, 15, (rows, columns)).clip(-40, 40)
    frames = [
        (c + texture.round() + rng.normal(0, sigma or 1e-9, texture.shape)).round().clip(0, 255)
        for c in codes
    ]
    encode(
        path,
        [frame.astype(np.uint8) for frame in frames],
        rate=rate,
        codec="ffv1",
        pixel_format="gray",
    )
    return path


def alternation(frames, size):
    return 128 + size * (-1.0) ** np.arange(frames)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder of small clips."""
    folder = tmp_path_factory.mktemp("clips")
    write(folder / "flicker.mkv", alternation(40, 3))
    write(folder / "still.mkv", np.full(40, 128.0))
    write(folder / "long.mkv", np.full(60, 128.0), sigma=2, seed=1)
    write(folder / "noisy.mkv", np.full(40, 128.0), sigma=4, seed=2)
    write(folder / "short.mkv", np.full(16, 128.0), sigma=3, seed=3)
    write(folder / "three.mkv", np.full(3, 128.0), sigma=3, seed=4)
    rng = np.random.default_rng(5)
    for name in ("colour", "other colour"):
        frames = [rng.integers(0, 256, (24, 36, 3), dtype=np.uint8) for _ in range(40)]
        encode(folder / f"{name}.mkv", frames, rate=24, codec="ffv1", pixel_format="yuv444p")
    return folder


@pytest.fixture
def here(clips, monkeypatch):
    """The folder of clips as the current one, so that names are short."""
    monkeypatch.chdir(clips)
    return clips


@pytest.fixture
def call(capsys):
    """Run a command; gives its exit code, what it printed and its errors."""

    def run(*arguments):
        code = cli.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def nothing_is_measured(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("something was measured")

    monkeypatch.setattr(comparison, "compare", refuse)
    monkeypatch.setattr(comparison, "analyze", refuse)


def report_of(call, *arguments):
    code, out, err = call(*arguments, "--json", "-")
    assert (code, err) == (0, "")
    return json.loads(out)


def words(text):
    """A text without its line breaks."""
    return " ".join(text.split())


def is_one_line(err):
    return err.startswith("flickerscope: ") and err.endswith("\n") and err.count("\n") == 1


# --- What is printed ------------------------------------------------------------------------------


def test_compare_says_what_was_compared_how_much_and_how(here, call):
    code, out, err = call("compare", "flicker.mkv", "still.mkv")
    assert (code, err) == (0, "")
    text = words(out)
    assert "pred flicker.mkv ffv1 36x24, 40 frames, 24 frames/s, 2 segments of 32" in text
    assert "ref still.mkv ffv1 36x24, 40 frames, 24 frames/s, 2 segments of 32" in text
    assert text.startswith("Flickers more. It rests on the ")
    assert f"high-frequency energy (includes motion) {EXCESS:+.1f} dB" in text
    assert "(pred 3, ref 0 rms code values in HF at block scale)" in text
    assert (
        f"flickerscope {flickerscope.__version__}, motion-compensated flicker (flow lk, 72 rows), "
        "Hann window of 32 frames, cycles bands, HF at block scale, 24 frames/s; on "
    ) in text


def test_the_table_of_compare_holds_rms_and_decibels_of_each_band_and_scale(here, call):
    _, out, _ = call("compare", "flicker.mkv", "still.mkv")
    rows = [line.split() for line in out.splitlines() if re.match(r"(LF|MF|HF|NYQ) ", line)]
    assert [row[:3] for row in rows] == [
        ["LF", "1.12-3", "Hz"],
        ["MF", "3-6", "Hz"],
        ["HF", "6-12", "Hz"],
        ["NYQ", "9.6-12", "Hz"],
    ]
    high = ["3.000", "0.000", f"{EXCESS:+.2f}"]
    assert rows[2][3:] == high * 3
    assert rows[0][3:] == ["0.000", "0.000", "+0.00"] * 3


def test_analyze_says_the_rms_and_the_line_with_their_units(here, call):
    code, out, err = call("analyze", "flicker.mkv")
    assert (code, err) == (0, "")
    text = words(out)
    assert "video flicker.mkv ffv1 36x24, 40 frames, 24 frames/s, 2 segments of 32" in text
    assert (
        "high-frequency energy (includes motion) 3 rms code values in HF 6-12 Hz, at block scale"
    ) in text
    assert "line at 12 Hz, amplitude in code values 3 (pixel), 3 (block), 3 (global)" in text
    assert f"flickerscope {flickerscope.__version__}, motion-compensated flicker" in text


def test_analyze_prints_every_video_in_its_turn(here, call):
    code, out, _ = call("analyze", "flicker.mkv", "still.mkv", "short.mkv")
    assert code == 0
    assert re.findall(r"^video (\S+)", out, re.MULTILINE) == [
        "flicker.mkv",
        "still.mkv",
        "short.mkv",
    ]


def test_without_a_difference_the_words_say_so(here, call):
    _, out, _ = call("compare", "noisy.mkv", "noisy.mkv")
    text = words(out)
    assert text.startswith("No difference found. It rests on the motion-compensated flicker.")
    assert "high-frequency energy (includes motion) +0.0 dB" in text


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_quiet_prints_nothing(here, call, option):
    for arguments in (("compare", "flicker.mkv", "still.mkv"), ("analyze", "flicker.mkv")):
        assert call(*arguments, option) == (0, "", "")


def test_verbose_shows_the_notes_in_full(here, call):
    arguments = ("compare", "noisy.mkv", "long.mkv")
    note = "lengths differ (40 and 60 frames): powers are means over segments"
    _, out, _ = call(*arguments)
    assert "1, shown with -v" in words(out)
    assert note not in words(out)
    for option in ("-v", "--verbose"):
        _, out, _ = call(*arguments, option)
        assert note in words(out)
        assert "shown with -v" not in words(out)
    _, out, _ = call(*arguments, "-v", "--no-paired")
    assert "paired not available: switched off" in words(out)


def test_warnings_are_always_shown(here, call):
    _, out, _ = call("compare", "three.mkv", "still.mkv")
    assert "warning segments of 3 frames have no spectrum" in words(out)


# --- Width ----------------------------------------------------------------------------------------


def assert_fits(out):
    """Within 80 columns, and no number cut off."""
    wide = [line for line in out.splitlines() if cell_len(line) > 80]
    assert wide == []
    assert not re.search(r"\d…(?!\S)", out.replace("Hz", "")), out
    rows = [
        line.split() for line in out.splitlines() if re.search(r"(\s[+-]\d+\.\d\d\b.*){3}", line)
    ]
    assert all(re.fullmatch(r"[+-]?\d+\.\d+", cell) for row in rows for cell in row[-9:]), out


LONG = "an uncommonly long name of a band that nobody would choose"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--bands", "hz"),
        ("--bands", f"{LONG}:0.05-0.3, {LONG} too:0.3-0.5"),
        ("--bands", "x" * 90 + ":0.05-0.5"),
        ("--scales", "global,pixel", "-v"),
        ("--axis", "frame", "-v", "--window", "boxcar", "--segment", "17"),
    ],
)
@pytest.mark.parametrize(
    ("pred", "ref"),
    [("flicker.mkv", "still.mkv"), ("noisy.mkv", "long.mkv"), ("three.mkv", "three.mkv")],
)
def test_every_line_fits_80_columns(here, call, pred, ref, arguments):
    code, out, _ = call("compare", pred, ref, *arguments)
    assert code == 0
    assert_fits(out)
    if "--axis" in arguments:
        return
    code, out, _ = call("analyze", pred, *arguments)
    assert code == 0
    assert_fits(out)


def test_three_planes_fit_80_columns_and_no_heading_is_cut(here, call):
    for arguments in (("compare", "colour.mkv", "other colour.mkv"), ("analyze", "colour.mkv")):
        code, out, _ = call(*arguments, "--planes", "yuv")
        assert code == 0
        assert_fits(out)
        assert "…" not in out
        assert re.findall(r"^(Y|CB|CR)  band", out, re.MULTILINE) == ["Y", "CB", "CR"]
        assert len(re.findall(r"^HF 6-12 Hz ", out, re.MULTILINE)) == 3
        heads = [line.split() for line in out.splitlines() if "pixel" in line and "block" in line]
        assert heads == [["pixel", "block", "global"]] * 3


@pytest.mark.parametrize(("strong", "weak"), [(110, 20), (127, 0), (20, 110)])
def test_large_values_fit_80_columns_beside_long_names(tmp_path, monkeypatch, call, strong, weak):
    """rms of 100 and more and decibels of two digits, in all nine columns."""
    monkeypatch.chdir(tmp_path)
    signs = np.random.default_rng(1).choice([-1, 1], 40)
    for name, size in (("pred.mkv", strong), ("ref.mkv", weak)):
        codes = (128 + size * signs)[:, None, None] * np.ones((1, 24, 32))
        frames = list(codes.clip(0, 255).astype(np.uint8))
        encode(name, frames, rate=24, codec="ffv1", pixel_format="gray")
    bands = f"{LONG}:0.05-0.5, b:0.1-0.5"
    for arguments in (("compare", "pred.mkv", "ref.mkv"), ("analyze", "pred.mkv")):
        code, out, _ = call(*arguments, "--bands", bands)
        assert code == 0
        assert_fits(out)
        assert "e+0" not in out


def test_arrays_without_a_frame_rate_fit_80_columns():
    from rich.console import Console

    from flickerscope.cli.terminal import analysis_summary, comparison_summary

    rng = np.random.default_rng(0)
    pred, ref = (rng.integers(0, 256, (40, 3, 24, 36), dtype=np.uint8) for _ in range(2))
    console = Console(width=80, highlight=False, markup=False)
    with console.capture() as capture:
        result = flickerscope.compare(pred, ref, planes="yuv")
        console.print(comparison_summary(result, verbose=True))
        console.print(analysis_summary(result.pred, device="cpu", verbose=True))
    out = capture.get()
    assert_fits(out)
    assert out.count("no frame rate") == 3
    assert words(out).count("HF 0.25-0.5 c/frame") == 3 + 3 + 1
    assert "unknown rate" in out


def test_long_file_names_fit_80_columns_and_are_whole(tmp_path, monkeypatch, call, clips):
    name = "瞬き-" * 15 + "x" * 90 + ".mkv"
    (tmp_path / name).write_bytes((clips / "flicker.mkv").read_bytes())
    monkeypatch.chdir(tmp_path)
    for arguments in (("compare", name, name, "-v"), ("analyze", name)):
        code, out, _ = call(*arguments)
        assert code == 0
        assert_fits(out)
        assert name in "".join(out.split())


# --- What is written ------------------------------------------------------------------------------


@pytest.fixture
def quick_figure(monkeypatch):
    """Bytes at once in place of a picture, which takes a second: large, and not text."""
    data = PNG + bytes(range(256)) * 4096 + PNG_END

    def save(result, path):
        path.write(data)

    monkeypatch.setattr(figure, "save_figure", save)
    return data


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "arguments", [("compare", "flicker.mkv", "still.mkv"), ("analyze", "flicker.mkv", "-v")]
)
def test_out_makes_a_folder_of_json_png_and_csv(here, tmp_path, call, arguments):
    folder = tmp_path / "a new" / "folder"
    code, out, err = call(*arguments, "-o", folder)
    assert (code, err) == (0, "")
    assert "high-frequency energy (includes motion)" in out
    assert {p.name for p in folder.iterdir()} == {"report.json", "report.png", "report.csv"}
    kind = {"compare": "comparison", "analyze": "analysis"}[arguments[0]]
    assert json.loads((folder / "report.json").read_text("utf-8"))["kind"] == kind
    png = (folder / "report.png").read_bytes()
    assert png.startswith(PNG)
    assert png.endswith(PNG_END)
    rows = read_csv(folder / "report.csv")
    assert sum(row["scale"] != "along motion" for row in rows) == 12


def test_analyze_draws_a_figure_of_each_of_several_videos(here, tmp_path, call, quick_figure):
    code, _, _ = call("analyze", "flicker.mkv", "still.mkv", "--out", tmp_path)
    assert code == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        *("report.json", "report.csv", "report-1.png", "report-2.png")
    }
    assert (tmp_path / "report-2.png").read_bytes() == quick_figure
    videos = json.loads((tmp_path / "report.json").read_text("utf-8"))["videos"]
    assert [video["input"]["path"] for video in videos] == ["flicker.mkv", "still.mkv"]
    rows = [row for row in read_csv(tmp_path / "report.csv") if row["scale"] != "along motion"]
    assert [row["video"] for row in rows] == ["flicker.mkv"] * 12 + ["still.mkv"] * 12


@pytest.mark.parametrize(
    "arguments", [("compare", "flicker.mkv", "still.mkv"), ("analyze", "flicker.mkv")]
)
def test_a_report_to_stdout_has_it_to_itself_and_is_complete(
    here, tmp_path, capfdbinary, quick_figure, arguments
):
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "csv", "png")}
    assert cli.run([*arguments, "-o", str(tmp_path), "-q"]) == 0
    assert capfdbinary.readouterr() == (b"", b"")
    for kind, path in files.items():
        assert cli.run([*arguments, f"--{kind}", "-"]) == 0
        assert capfdbinary.readouterr() == (path.read_bytes(), b"")
    assert files["png"].read_bytes() == quick_figure


def test_one_report_to_stdout_and_others_to_files(here, tmp_path, call, quick_figure):
    arguments = ("compare", "flicker.mkv", "still.mkv", "-v")
    code, out, _ = call(
        *arguments, "--csv", "-", "--json", tmp_path / "a.json", "-o", tmp_path / "all"
    )
    assert code == 0
    assert out == (tmp_path / "all" / "report.csv").read_text("utf-8")
    assert (tmp_path / "a.json").read_text() == (tmp_path / "all" / "report.json").read_text()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--json", "-", "--csv", "-"), ("json", "csv")),
        (("--png", "-", "--csv", "-"), ("png", "csv")),
        (("--json", "-", "--png", "-", "--csv", "-"), ("json", "png", "csv")),
    ],
)
def test_two_reports_to_stdout_are_wrong_usage(here, call, nothing_is_measured, options, named):
    for arguments in (("compare", "flicker.mkv", "still.mkv"), ("analyze", "flicker.mkv")):
        code, out, err = call(*arguments, *options)
        assert (code, out) == (2, "")
        assert is_one_line(err)
        assert all(f"--{name}" in err for name in named)


def test_the_table_to_stdout_is_csv(here, call):
    code, out, _ = call("compare", "flicker.mkv", "still.mkv", "--csv", "-")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {(row["pred"], row["ref"]) for row in rows} == {("flicker.mkv", "still.mkv")}
    (energy,) = [row for row in rows if (row["scale"], row["band"]) == ("block", "HF")]
    assert float(energy["excess_db"]) == pytest.approx(EXCESS, abs=1e-3)
    assert [row["headline"] for row in rows] == ["true"] + ["false"] * (len(rows) - 1)


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs /dev")
def test_a_device_as_target_is_written_in_place(here, call):
    code, _, err = call("compare", "flicker.mkv", "still.mkv", "--json", "/dev/null", "-q")
    assert (code, err) == (0, "")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_target_gets_the_whole_report(here, tmp_path, call):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    code, _, _ = call("compare", "flicker.mkv", "still.mkv", "--json", pipe, "-q")
    reader.join(timeout=10)
    assert code == 0
    assert json.loads(received[0])["kind"] == "comparison"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


# --- Settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (("--window", "boxcar"), {"window": "boxcar"}),
        (("--segment", "20"), {"segment": 20}),
        (("--bands", "quick:0.3-0.5"), {"bands": "quick:0.3-0.5"}),
        (("--bands", "hz"), {"bands": "hz"}),
        (("--primary", "MF"), {"primary": "MF"}),
        (("--scales", "pixel, global"), {"scales": ["pixel", "global"]}),
        (("--frames", "4:38"), {"frames": "4:38"}),
        (("--frames", "::2"), {"frames": "::2"}),
        (("--crop", "12x10+3+2"), {"crop": "12x10+3+2"}),
    ],
)
@pytest.mark.parametrize("command", ["compare", "analyze"])
def test_every_option_reaches_the_settings_and_changes_the_numbers(
    here, call, command, options, changed
):
    videos = ("noisy.mkv", "long.mkv") if command == "compare" else ("noisy.mkv",)
    plain, other = (report_of(call, command, *videos, *more) for more in ((), options))
    assert other["settings"] == plain["settings"] | changed
    if command == "analyze":
        plain, other = plain["videos"][0], other["videos"][0]
    assert other["energy"] != plain["energy"]


def test_planes_adds_those_of_colour(here, call):
    report = report_of(call, "analyze", "colour.mkv", "--planes", "yuv")
    assert {row["plane"] for row in report["videos"][0]["results"]} == {"y", "cb", "cr"}


def test_paired_and_lag_reach_the_paired_readings(here, call):
    arguments = ("compare", "noisy.mkv", "noisy.mkv", "--frames", "0:40")
    assert report_of(call, *arguments, "--lag", "1")["paired"]["lag"] == 1
    assert report_of(call, *arguments, "--lag", "-2")["paired"]["lag"] == -2
    assert report_of(call, *arguments)["paired"]["lag"] == 0
    none = report_of(call, *arguments, "--no-paired")
    assert (none["paired"], none["paired_reason"]) == (None, "switched off")
    code, out, err = call("compare", "noisy.mkv", "colour.mkv", "--paired", "--crop", "9x9+0+0")
    assert code == 0 or (out == "" and is_one_line(err))


def test_the_axis_decides_which_of_two_rates_is_measured(here, tmp_path, call):
    fast = write(tmp_path / "fast.mkv", alternation(90, 3), rate=48)
    for axis, rate in (("auto", 24), ("frame", 48)):
        report = report_of(call, "compare", fast, "still.mkv", "--axis", axis)
        assert report["inputs"][0]["measured_rate"] == rate
        assert report["settings"]["axis"] == axis


OPTIONS = (
    *("--window", "boxcar", "--segment", "16", "--bands", "slow:0.1-0.3, quick:0.3-0.5"),
    *("--primary", "slow", "--scales", "global,block", "--frames", "2:38", "--crop", "20x16+2+4"),
    *("--no-paired", "--axis", "frame"),
)


def test_a_report_as_settings_repeats_the_run_with_identical_numbers(here, tmp_path, call):
    saved, again = tmp_path / "first.json", tmp_path / "again.json"
    arguments = ("compare", "noisy.mkv", "long.mkv", "-q")
    assert call(*arguments, *OPTIONS, "--json", saved)[0] == 0
    assert call(*arguments, "--settings", saved, "--json", again)[0] == 0
    assert again.read_text() == saved.read_text()
    plain = report_of(call, *arguments)
    assert plain["headline"] != json.loads(saved.read_text())["headline"]


def test_the_settings_of_a_comparison_serve_analyze_and_the_bare_settings_serve_too(
    here, tmp_path, call
):
    saved, bare = tmp_path / "report.json", tmp_path / "settings.json"
    assert call("compare", "noisy.mkv", "long.mkv", *OPTIONS, "--json", saved, "-q")[0] == 0
    settings = json.loads(saved.read_text())["settings"]
    bare.write_text(json.dumps(settings))
    first, second = (
        report_of(call, "analyze", "noisy.mkv", "--settings", path) for path in (saved, bare)
    )
    assert first == second
    assert first["settings"] == settings


def test_options_on_the_command_line_win_over_the_settings_file(here, tmp_path, call):
    saved = tmp_path / "report.json"
    arguments = ("compare", "noisy.mkv", "long.mkv")
    assert call(*arguments, *OPTIONS, "--json", saved, "-q")[0] == 0
    changes = ("--window", "hann", "--segment", "24")
    mixed = report_of(call, *arguments, "--settings", saved, *changes)
    assert mixed["settings"] == json.loads(saved.read_text())["settings"] | {
        "window": "hann",
        "segment": 24,
    }
    assert mixed == report_of(call, *arguments, *OPTIONS, *changes)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 1, "cannot be read as a report"),
        ("{nonsense", 1, "cannot be read as a report"),
        ("\udcff\udcfe", 1, "cannot be read as a report"),
        ("[1, 2]", 2, "expected a JSON object"),
        ("null", 2, "expected a JSON object"),
        ('{"settings": 3}', 2, "expected a JSON object"),
        ('{"windw": "hann"}', 2, "unknown settings windw"),
        ('{"window": "hamming"}', 2, "window: one of hann, boxcar"),
        ('{"segment": "32"}', 2, "segment: a whole number"),
        ('{"scales": 3}', 2, "scales: a list"),
    ],
)
def test_a_settings_file_that_makes_no_sense_is_refused(
    here, tmp_path, call, nothing_is_measured, text, code, said
):
    path = tmp_path / "settings.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    for arguments in (("compare", "noisy.mkv", "long.mkv"), ("analyze", "noisy.mkv")):
        got, out, err = call(*arguments, "--settings", path)
        assert (got, out) == (code, "")
        assert is_one_line(err)
        assert said in err
        assert code != 1 or str(path) in err


def test_a_settings_file_that_is_not_there_is_named(here, tmp_path, call, nothing_is_measured):
    code, _, err = call("analyze", "noisy.mkv", "--settings", tmp_path / "none.json")
    assert code == 1
    assert is_one_line(err)
    assert str(tmp_path / "none.json") in err


# --- Saved measurements ---------------------------------------------------------------------------


def test_a_saved_reference_gives_the_numbers_of_the_video(here, tmp_path, call):
    saved = tmp_path / "reference.json"
    code, _, err = call("analyze", "long.mkv", "--save", saved, "-q")
    assert (code, err) == (0, "")
    direct = report_of(call, "compare", "noisy.mkv", "long.mkv", "--no-paired")
    against = report_of(call, "compare", "noisy.mkv", saved, "--no-paired")
    for report in (direct, against):
        report.pop("maps")  # saved with seven digits
        report["notes"].sort()
    assert against == direct
    upper = tmp_path / "REFERENCE.JSON"
    upper.write_bytes(saved.read_bytes())
    assert report_of(call, "compare", "noisy.mkv", upper)["results"] == direct["results"]
    reason = report_of(call, "compare", "noisy.mkv", saved)["paired_reason"]
    assert reason == "a saved measurement has no frames"


def test_a_saved_reference_holds_every_segment_length_for_shorter_videos(here, tmp_path, call):
    saved = tmp_path / "reference.json"
    assert call("analyze", "long.mkv", "--save", saved, "-q")[0] == 0
    held = json.loads(saved.read_text())
    assert [rung["frames"] for rung in held["rungs"]] == [32, 25, 16, 14, 8]
    against = report_of(call, "compare", "short.mkv", saved)
    direct = report_of(call, "compare", "short.mkv", "long.mkv")
    assert against["segment"] == direct["segment"]
    assert against["segment"]["frames"] == 16
    assert against["results"] == direct["results"]
    assert against["histograms"] == direct["histograms"]


def test_two_saved_measurements_can_be_compared(here, tmp_path, call):
    for name in ("noisy", "long"):
        assert call("analyze", f"{name}.mkv", "--save", tmp_path / f"{name}.json", "-q")[0] == 0
    both = report_of(call, "compare", tmp_path / "noisy.json", tmp_path / "long.json")
    direct = report_of(call, "compare", "noisy.mkv", "long.mkv")
    assert both["results"] == direct["results"]


def test_a_saved_reference_of_other_settings_is_wrong_usage(here, tmp_path, call):
    saved = tmp_path / "reference.json"
    assert call("analyze", "long.mkv", "--save", saved, "--window", "boxcar", "-q")[0] == 0
    report = report_of(call, "compare", "noisy.mkv", saved)
    assert report["settings"]["window"] == "boxcar"
    code, out, err = call("compare", "noisy.mkv", saved, "--window", "hann")
    assert (code, out) == (2, "")
    assert is_one_line(err)
    assert "window" in err


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", "[]", "null", "3", '{"kind": "flickerscope measurement"}', "\udcff", "report"],
)
def test_json_that_is_no_measurement_is_refused_by_name(here, tmp_path, call, text):
    path = tmp_path / "wrong.json"
    if text == "report":
        assert call("analyze", "noisy.mkv", "--json", path, "-q")[0] == 0
    else:
        path.write_bytes(text.encode(errors="surrogateescape"))
    code, out, err = call("compare", "noisy.mkv", path)
    assert (code, out) == (1, "")
    assert is_one_line(err)
    assert err.startswith(f"flickerscope: {path}: ")
    path.unlink()
    code, out, err = call("compare", "noisy.mkv", path)
    assert (code, out) == (1, "")
    assert is_one_line(err)
    assert str(path) in err


# --- Exit codes -----------------------------------------------------------------------------------


def test_above_the_limit_of_decibels_is_3_and_at_the_limit_is_0(here, call):
    arguments = ("compare", "noisy.mkv", "long.mkv")
    value = report_of(call, *arguments)["headline"]["value"]
    assert call(*arguments, "--fail-above", repr(value), "-q") == (0, "", "")
    assert call(*arguments, f"--fail-above={value + 1}", "-q") == (0, "", "")
    below = math.nextafter(value, -math.inf)
    code, out, err = call(*arguments, "--fail-above", repr(below), "-q")
    assert (code, out) == (3, "")
    assert is_one_line(err)
    assert f"motion-compensated flicker {value:+.3g} dB, above the limit of {below:g}" in err


def test_a_limit_of_zero_passes_what_is_identical(here, call):
    assert call("compare", "noisy.mkv", "noisy.mkv", "--fail-above", "0", "-q") == (0, "", "")
    assert call("analyze", "still.mkv", "--fail-above", "0", "-q") == (0, "", "")


def test_a_limit_may_be_negative(here, call):
    arguments = ("compare", "still.mkv", "flicker.mkv", "-q")
    assert call(*arguments, "--fail-above", f"{-EXCESS + 0.1}")[0] == 0
    assert call(*arguments, "--fail-above", f"{-EXCESS - 0.1}")[0] == 3


def test_what_is_not_measurable_breaches_a_limit_unless_it_is_allowed(here, call):
    arguments = ("compare", "three.mkv", "noisy.mkv", "--fail-above", "99", "-q")
    code, out, err = call(*arguments)
    assert (code, out) == (3, "")
    assert is_one_line(err)
    assert "not measurable" in err
    assert call(*arguments, "--allow-unmeasured")[0] == 0
    assert call(*arguments, "--gate", "motion")[0] == 3
    assert call(*arguments, "--gate", "energy")[0] == 0
    assert call("analyze", "three.mkv", "--fail-above", "99", "-q")[0] == 3
    assert call("analyze", "three.mkv", "--fail-above", "99", "--allow-unmeasured", "-q")[0] == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--gate", "nonsense", "--fail-above", "3"),
        ("--gate", "energy"),
        ("--allow-unmeasured",),
        ("--gate", "motion", "--no-motion", "--fail-above", "3"),
        ("--flow", "nonsense"),
    ],
)
def test_a_gate_that_makes_no_sense_is_wrong_usage(here, call, options):
    code, out, err = call("compare", "still.mkv", "still.mkv", *options)
    assert (code, out) == (2, "")
    assert is_one_line(err)


def test_above_the_limit_of_rms_is_3_and_the_loudest_of_several_counts(here, call):
    video = report_of(call, "analyze", "noisy.mkv")["videos"][0]
    value = video["headline"]["value"]
    assert call("analyze", "noisy.mkv", "--fail-above", repr(value), "-q") == (0, "", "")
    below = repr(math.nextafter(value, 0))
    for videos in (("noisy.mkv",), ("noisy.mkv", "still.mkv"), ("still.mkv", "noisy.mkv")):
        code, out, err = call("analyze", *videos, "--fail-above", below, "-q")
        assert (code, out) == (3, "")
        assert is_one_line(err)
        assert "rms code values, above the limit of" in err


def test_above_the_limit_everything_is_written_and_shown_all_the_same(
    here, tmp_path, call, quick_figure
):
    arguments = ("flicker.mkv", "still.mkv", "-o", tmp_path, "--fail-above", "3")
    code, out, err = call("compare", *arguments)
    assert code == 3
    assert "Flickers more" in out
    assert is_one_line(err)
    assert {p.name for p in tmp_path.iterdir()} == {"report.json", "report.png", "report.csv"}
    code, out, _ = call("compare", "flicker.mkv", "still.mkv", "--json", "-", "--fail-above", "3")
    assert code == 3
    assert json.loads(out)["kind"] == "comparison"


@pytest.mark.parametrize("command", ["compare", "analyze"])
def test_a_missing_file_is_1_and_named(here, call, command):
    videos = {"compare": [("none.mkv", "still.mkv"), ("still.mkv", "none.mkv")]}
    for names in videos.get(command, [("none.mkv",), ("still.mkv", "none.mkv", "-q")]):
        code, out, err = call(command, *names)
        assert (code, out) == (1, "")
        assert err == "flickerscope: none.mkv: no such file\n"


def test_a_file_that_is_no_video_is_1_and_named(here, tmp_path, call):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    for arguments in (("analyze", path), ("compare", "still.mkv", path), ("analyze", tmp_path)):
        code, out, err = call(*arguments)
        assert (code, out) == (1, "")
        assert is_one_line(err)
        assert err.startswith(f"flickerscope: {arguments[-1]}: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare",),
        ("compare", "still.mkv"),
        ("compare", "still.mkv", "still.mkv", "still.mkv"),
        ("analyze",),
        ("unknown",),
        ("--unknown",),
        ("compare", "still.mkv", "still.mkv", "--unknown"),
        ("compare", "still.mkv", "still.mkv", "--segment", "many"),
        ("compare", "still.mkv", "still.mkv", "--segment", "2"),
        ("compare", "still.mkv", "still.mkv", "--segment"),
        ("compare", "still.mkv", "still.mkv", "--window", "hamming"),
        ("compare", "still.mkv", "still.mkv", "--bands", "nonsense"),
        ("compare", "still.mkv", "still.mkv", "--bands", "a:0.1-0.9"),
        ("compare", "still.mkv", "still.mkv", "--primary", "UHF"),
        ("compare", "still.mkv", "still.mkv", "--axis", "seconds"),
        ("compare", "still.mkv", "still.mkv", "--scales", "pixel,mega"),
        ("compare", "still.mkv", "still.mkv", "--scales", ""),
        ("compare", "still.mkv", "still.mkv", "--planes", "rgb"),
        ("compare", "still.mkv", "still.mkv", "--frames", "9:3"),
        ("compare", "still.mkv", "still.mkv", "--crop", "big"),
        ("compare", "still.mkv", "still.mkv", "--lag", "3"),
        ("compare", "still.mkv", "still.mkv", "--fail-above", "much"),
        ("analyze", "still.mkv", "--lag", "1"),
        ("analyze", "still.mkv", "still.mkv", "--png", "a.png"),
        ("analyze", "still.mkv", "still.mkv", "--save", "a.json"),
        ("demo", "extra"),
        ("demo", "--crop", "9x9+0+0"),
    ],
)
def test_wrong_usage_is_2_and_one_line(here, call, arguments):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert is_one_line(err)
    assert "Traceback" not in err


def test_bands_outside_the_spectrum_are_wrong_usage(here, call):
    code, out, err = call("analyze", "flicker.mkv", "--bands", "x:30-50Hz", "--json", "-")
    assert (code, out) == (2, "")
    assert is_one_line(err)


@pytest.mark.parametrize("option", ["--json", "--png", "--csv", "--out", "--save"])
@pytest.mark.parametrize("trouble", ["no folder", "in the way"])
def test_what_cannot_be_written_is_1_before_anything_is_measured(
    here, tmp_path, call, nothing_is_measured, option, trouble
):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    if trouble == "no folder":
        path = tmp_path / "file" / "x" if option == "--out" else tmp_path / "none" / "x.json"
    else:
        path = tmp_path / "file" if option == "--out" else tmp_path / "folder"
    for command in ("compare", "analyze"):
        if option == "--save" and command == "compare":
            continue
        videos = ("flicker.mkv", "still.mkv") if command == "compare" else ("flicker.mkv",)
        code, out, err = call(command, *videos, option, path)
        assert (code, out) == (1, "")
        assert is_one_line(err)
        assert err.startswith(f"flickerscope: {path}: ")
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("name", ["report.json", "report.png", "report.csv"])
def test_a_folder_in_place_of_a_report_is_found_before_anything_is_measured(
    here, tmp_path, call, nothing_is_measured, name
):
    (tmp_path / name).mkdir()
    for arguments in (("compare", "flicker.mkv", "still.mkv"), ("analyze", "flicker.mkv")):
        code, out, err = call(*arguments, "-o", tmp_path)
        assert (code, out) == (1, "")
        assert err == f"flickerscope: {tmp_path / name}: is a folder; name a file\n"


# --- Failing well ---------------------------------------------------------------------------------

EARLIER = {"report.json": "earlier", "report.csv": "results", "report.png": "stay"}


@pytest.fixture
def earlier(tmp_path):
    """A folder of reports of an earlier run."""
    for name, text in EARLIER.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def assert_untouched(folder):
    assert {p.name: p.read_text() for p in folder.iterdir()} == EARLIER


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "flicker.mkv", "none.mkv"),
        ("compare", "three.mkv", "three.mkv", "--frames", "0:2"),
        ("compare", "flicker.mkv", "still.mkv", "--crop", "900x900+0+0"),
        ("compare", "flicker.mkv", "still.mkv", "--window", "hamming"),
        ("analyze", "flicker.mkv", "none.mkv"),
        ("analyze", "flicker.mkv", "--memory", "0.001"),
    ],
)
def test_a_run_that_fails_leaves_earlier_results_alone(here, call, earlier, arguments):
    code, out, err = call(*arguments, "-o", earlier, "-q")
    assert code in (1, 2)
    assert out == ""
    assert is_one_line(err)
    assert_untouched(earlier)


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), RuntimeError("a bug")])
@pytest.mark.parametrize("command", ["compare", "analyze", "several"])
def test_a_figure_that_fails_leaves_earlier_results_alone(
    here, call, earlier, monkeypatch, command, error
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(figure, "save_figure", fail)
    arguments = {
        "compare": ("compare", "flicker.mkv", "still.mkv"),
        "analyze": ("analyze", "flicker.mkv"),
        "several": ("analyze", "flicker.mkv", "still.mkv"),
    }[command]
    if isinstance(error, RuntimeError):  # what nobody foresaw keeps its traceback
        with pytest.raises(RuntimeError, match="a bug"):
            call(*arguments, "-o", earlier, "-q")
    else:
        code, _, err = call(*arguments, "-o", earlier, "-q")
        assert code == (1 if isinstance(error, MemoryError) else 130)
        assert is_one_line(err)
    assert_untouched(earlier)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("compare", "flicker.mkv", "still.mkv"), "compare"),
        (("analyze", "flicker.mkv"), "analyze"),
    ],
)
def test_an_interrupt_is_130_without_a_traceback(here, call, monkeypatch, arguments, name):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, name, interrupt)
    code, out, err = call(*arguments)
    assert (code, out) == (130, "")
    assert err == "flickerscope: interrupted\n"


def test_running_out_of_memory_is_1_with_a_way_out(here, call, monkeypatch):
    def exhaust(*_, **__):
        raise MemoryError

    monkeypatch.setattr(comparison, "compare", exhaust)
    code, out, err = call("compare", "flicker.mkv", "still.mkv")
    assert (code, out) == (1, "")
    assert is_one_line(err)
    assert "memory" in err


def test_a_disk_that_fills_up_at_any_report_leaves_all_earlier_ones(
    here, earlier, call, monkeypatch, quick_figure
):
    real = os.fsync
    for fits in range(3):
        synced = []

        def full(descriptor, synced=synced, fits=fits):
            if len(synced) == fits:
                raise OSError(28, "No space left on device")
            synced.append(descriptor)
            real(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        code, out, err = call("compare", "flicker.mkv", "still.mkv", "--no-motion", "-o", earlier)
        assert (code, out) == (1, "")
        assert is_one_line(err)
        assert re.search(r"report\.\w+: cannot be written: No space left on device$", err)
        assert_untouched(earlier)


def test_a_full_device_fails_before_a_file_is_replaced(here, earlier, call, quick_figure):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    code, _, err = call("analyze", "still.mkv", "--no-motion", "-o", earlier, "--csv", "/dev/full")
    assert code == 1
    assert err == "flickerscope: /dev/full: cannot be written: No space left on device\n"
    assert_untouched(earlier)


def test_an_interrupt_while_writing_is_130_and_leaves_earlier_results(
    here, earlier, call, monkeypatch, quick_figure
):
    synced = []

    def interrupt(descriptor):
        if synced:
            raise KeyboardInterrupt
        synced.append(descriptor)

    monkeypatch.setattr(os, "fsync", interrupt)
    code, _, err = call("analyze", "still.mkv", "--no-motion", "-o", earlier)
    assert (code, err) == (130, "flickerscope: interrupted\n")
    assert_untouched(earlier)


@pytest.mark.parametrize(
    "arguments",
    [("compare", "none.mkv", "still.mkv"), ("analyze", "none.mkv"), ("analyze", "still.mkv")],
)
def test_debug_shows_the_traceback_before_the_line(here, call, monkeypatch, arguments):
    options = () if "none.mkv" in arguments else ("--window", "hamming")
    code, _, err = call(*arguments, *options)
    debugged, _, traced = call(*arguments, *options, "--debug")
    assert is_one_line(err)
    assert debugged == code
    assert traced.startswith("Traceback (most recent call last):\n")
    assert traced.endswith(f"\n{err}")


# --- Names of files -------------------------------------------------------------------------------

NAMES = [
    *("two  blanks .mkv", 'it\'s "quoted".mkv', "new\nline.mkv", "tab\tand\x7fdelete.mkv"),
    *("😀 瞬き é.mkv", "[bold]x[/].mkv", "[link=file:x]y.mkv", "%s {0} {x}.mkv", "a:b;c|d&e.mkv"),
    *("$x_{$.mkv", "\u202egnp.mkv", "\x1b[31mred.mkv", ":smile:.mkv", "-dash.mkv", "--json.mkv"),
    *("ends in .json.mkv", "*.mkv", "=cmd|' /C calc'!A0.mkv", "@SUM(1).mkv", "+1.mkv"),
    *("<script>alert(1)<!--.mkv", "CON.mkv", 'a<b>"?.mkv', "é" * 125 + "x.mkv"),
]


def put(source, path):
    """Copy a clip under a name that may hold a slash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.read_bytes())


def shown(name):
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_file_is_read_shown_and_kept(tmp_path, monkeypatch, clips, call, name):
    put(clips / "flicker.mkv", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    code, out, err = call(
        "analyze", "--no-motion", "--json", "r.json", "--csv", "r.csv", "--", name
    )
    assert (code, err) == (0, "")
    if len(name) < 70:  # a longer one goes on in the next line
        first = re.match(r"video (.*?) *\n", out)
        assert first
        assert first[1] == shown(name).strip()
    assert "".join(shown(name).split()) in "".join(out.split())
    assert json.loads((tmp_path / "r.json").read_text())["videos"][0]["input"]["path"] == name
    (video,) = {row["video"] for row in read_csv(tmp_path / "r.csv")}
    # A spreadsheet would compute what begins so: the same file by another name.
    assert video == (f"./{name}" if name[0] in "=+-@\t\r" else name)
    assert (tmp_path / video).is_file()
    code, out, err = call("compare", "-q", "--", name, f"{name}/none")
    assert (code, out) == (1, "")
    assert is_one_line(err)
    assert err.startswith(f"flickerscope: {shown(name)}/none: ")


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
@pytest.mark.parametrize("name", ["-o", "--json", "=1+1", "<script>", "a\nb", "CON", "x" * 255])
def test_any_name_can_be_that_of_an_output(here, tmp_path, call, name):
    (tmp_path / "folder").mkdir()
    for option, path in (("--json", tmp_path / name), ("--csv", tmp_path / "folder" / name)):
        assert call("analyze", "still.mkv", "-q", "--no-motion", f"{option}={path}") == (0, "", "")
    assert json.loads((tmp_path / name).read_text())["kind"] == "analysis"
    assert len(read_csv(tmp_path / "folder" / name)) == 13
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "folder"])


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
@pytest.mark.parametrize("name", ["$x_{$ \\alpha^.mkv", "[bold]x[/]\n😀.mkv"])
def test_any_name_of_a_file_can_stand_in_a_figure(tmp_path, monkeypatch, clips, call, name):
    put(clips / "flicker.mkv", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    code, _, err = call("compare", name, name, "--png", "figure.png", "-q")
    assert (code, err) == (0, "")
    assert (tmp_path / "figure.png").read_bytes().startswith(PNG)


@pytest.mark.skipif(sys.platform != "linux", reason="only there are names any bytes")
def test_a_name_that_is_no_unicode_is_kept_as_escapes(tmp_path, monkeypatch, clips, call):
    name = os.fsdecode(b"bad\xff.mkv")
    (tmp_path / name).write_bytes((clips / "flicker.mkv").read_bytes())
    monkeypatch.chdir(tmp_path)
    code, out, err = call("analyze", name, "--save", "saved.json", "-o", "out")
    assert (code, err) == (0, "")
    assert out.startswith("video bad\\udcff.mkv ")
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["videos"][0]["input"]["path"] == name
    assert "bad\\udcff.mkv," in (tmp_path / "out" / "report.csv").read_text("utf-8")
    assert call("compare", name, "saved.json", "-q") == (0, "", "")


# --- Version, help, process -----------------------------------------------------------------------


def test_the_version_is_printed(call):
    assert call("--version") == (0, f"flickerscope {flickerscope.__version__}\n", "")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_printed_for_every_command(call, option):
    code, out, err = call(option)
    assert (code, err) == (0, "")
    assert all(re.search(rf"^ +{command} ", out, re.MULTILINE) for command in COMMANDS)
    assert "Exit codes: 0 done, 1 failure, 2 wrong usage, 3 over --fail-above." in words(out)
    for command in COMMANDS:
        code, out, err = call(command, option)
        assert (code, err) == (0, "")
        assert f"Usage: flickerscope {command}" in out
        assert "--device" in out
        assert max(len(line) for line in out.splitlines()) <= 100


def test_without_a_command_the_help_is_shown_as_wrong_usage(call):
    code, out, err = call()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: flickerscope")
    assert err.count("\n") > 10


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "arguments", [("compare", "flicker.mkv", "still.mkv"), ("analyze", "flicker.mkv", "still.mkv")]
)
def test_progress_is_shown_on_a_terminal_only_and_can_be_switched_off(
    here, monkeypatch, call, arguments
):
    monkeypatch.setenv("TERM", "xterm")
    code, _, err = call(*arguments)
    assert (code, err) == (0, "")
    for options, visible in (((), True), (("--no-progress",), False), (("-q",), False)):
        with monkeypatch.context() as patch:
            terminal = Terminal()
            patch.setattr(sys, "stderr", terminal)
            assert cli.run([*arguments, *options]) == 0
        text = terminal.getvalue()
        assert ("flicker.mkv" in text) == ("still.mkv" in text) == ("frames" in text) == visible
        assert visible or text == ""


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "flickerscope", *map(str, arguments)],
        capture_output=True,
        check=False,
        timeout=120,
        **options,
    )


def test_the_package_runs_as_a_module():
    done = python("--version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().strip() == f"flickerscope {flickerscope.__version__}"


def test_the_version_does_not_wait_for_torch():
    code = (
        "import sys, flickerscope.cli as cli; cli.run(['--version']); "
        "print(sorted({'torch', 'av', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_exit_codes_leave_the_process(here):
    done = python("compare", "flicker.mkv", "still.mkv", "--fail-above", "3", "--json", "-")
    assert done.returncode == 3
    assert json.loads(done.stdout)["verdict"]["text"] == "flickers more"
    assert is_one_line(done.stderr.decode())


def test_an_output_of_few_characters_shows_names_as_escapes(tmp_path, clips):
    (tmp_path / "é😀.mkv").write_bytes((clips / "flicker.mkv").read_bytes())
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = python("analyze", "é😀.mkv", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"video \\xe9\\U0001f600.mkv ")


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX pipes")
def test_a_reader_that_leaves_early_is_no_traceback(here):
    command = [sys.executable, "-m", "flickerscope", "analyze", "flicker.mkv", "--json", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=120) == 1


def test_pictures_in_the_place_of_their_pattern_are_told_of_the_quotes(tmp_path, capsys):
    names = [str(tmp_path / f"frame{i}.png") for i in range(4)]
    for name in names:
        encode(name, [np.zeros((8, 8), np.uint8)], rate=1, codec="png", pixel_format="gray")
    hint = f"put their pattern in quotes: '{tmp_path / '*.png'}'"
    for command, code in (("analyze", 1), ("compare", 2)):
        assert cli.run([command, *names]) == code
        said = capsys.readouterr().err
        assert hint in said
        assert said.count("\n") == 1
    assert cli.run(["analyze", names[0]]) == 1
    assert "quotes" not in capsys.readouterr().err
