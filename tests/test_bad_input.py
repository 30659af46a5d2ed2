"""Whatever is given, a command that fails does so in one line that names the file, and leaves
nothing behind."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flickerscope import InputError, cli
from flickerscope.scan.finding import find_videos
from flickerscope.video import encode

EARLIER = b"an earlier report"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Sound videos, by their suffix."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64), dtype=np.uint8)
    folder = tmp_path_factory.mktemp("sound")
    encode(folder / "a.mp4", noise, rate=25)
    encode(folder / "a.mkv", noise, rate=25, codec="ffv1", pixel_format="gray")
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: dict[str, bytes]) -> Path:
    """The current folder, with a sound video and an earlier report."""
    monkeypatch.chdir(tmp_path)
    Path("ok.mkv").write_bytes(sound[".mkv"])
    Path("r.json").write_bytes(EARLIER)
    return tmp_path


def arrays(value: float) -> np.ndarray:
    """Sixteen frames with one bad value."""
    frames = np.full((16, 8, 8), 0.5, np.float32)
    frames[7, 3, 3] = value
    return frames


Maker = Callable[[Path, dict[str, bytes]], object]

BAD: dict[str, tuple[str, Maker, str]] = {
    "missing": ("a.mp4", lambda p, s: None, "no such file"),
    "in a file": ("ok.mkv/a.mp4", lambda p, s: None, "no such file"),
    "empty": ("a.mp4", lambda p, s: p.touch(), "the file is empty"),
    "text": ("a.mp4", lambda p, s: p.write_text("hello"), "not a video"),
    "text as text": ("a.txt", lambda p, s: p.write_text("hello\n" * 99), "is text, not a video"),
    "gzip": ("a.mp4", lambda p, s: p.write_bytes(gzip.compress(s[".mp4"])), "compressed by gzip"),
    "a web page": ("a.mp4", lambda p, s: p.write_text("\n<!DOCTYPE html><html>"), "is a web page"),
    "a list": (
        "a.mp4",
        lambda p, s: p.write_text("ffconcat version 1.0\nfile ok.mkv\n"),
        "is a list of other files, not a video",
    ),
    "a playlist": (
        "a.m3u8",
        lambda p, s: p.write_text("#EXTM3U\n#EXTINF:1,\nok.mkv\n"),
        "is a list of other files, not a video",
    ),
    "text as a picture": ("a.png", lambda p, s: p.write_text("hello"), "no frame can be decoded"),
    "text as json": ("a.json", lambda p, s: p.write_text("hello"), ""),
    "an empty folder": ("a", lambda p, s: p.mkdir(), "holds no pictures; allowed are png"),
    "a pattern of nothing": ("*.png", lambda p, s: None, "no picture has such a name"),
    "a link to nothing": ("a.mp4", lambda p, s: p.symlink_to("gone"), "no such file"),
    "a link to itself": ("a.mp4", lambda p, s: p.symlink_to("a.mp4"), "cannot be read: "),
    "a name too long": ("x" * 300, lambda p, s: None, "cannot be read: File name too long"),
    "a pipe": ("a.mp4", lambda p, s: os.mkfifo(p), "not a regular file; save the video"),
    "truncated": ("a.mp4", lambda p, s: p.write_bytes(s[".mp4"][:2000]), "lacks its index (moov)"),
    "header of mp4": ("a.mp4", lambda p, s: p.write_bytes(s[".mp4"][:48]), "lacks its index"),
    "header of mkv": ("a.mkv", lambda p, s: p.write_bytes(s[".mkv"][:600]), "it holds no pictures"),
    "an address": ("https://127.0.0.1/a.mp4", lambda p, s: None, "no such file"),
    "nan": ("a.npy", lambda p, s: np.save(p, arrays(np.nan)), "got NaN or infinity"),
    "infinity": ("a.npy", lambda p, s: np.save(p, arrays(-np.inf)), "got NaN or infinity"),
    "nan of torch": (
        "a.pt",
        lambda p, s: torch.save(torch.from_numpy(arrays(np.nan)), p),
        "got NaN or infinity",
    ),
    "pickled": ("a.npy", lambda p, s: np.save(p, [{}], allow_pickle=True), "could run any code"),
}


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("command", ["analyze", "compare", "other side"])
def test_what_is_bad_is_told_in_one_line_and_earlier_results_stay(
    here: Path,
    sound: dict[str, bytes],
    bad: str,
    command: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    name, make, said = BAD[bad]
    if command == "analyze" and bad == "text as json":
        said = "not a video"  # which a saved measurement is only in a comparison
    make(Path(name), sound)
    before = sorted(os.listdir(here))
    videos = {"analyze": [name], "compare": [name, "ok.mkv"], "other side": ["ok.mkv", name]}
    line = ["analyze" if command == "analyze" else "compare", *videos[command]]
    code = cli.run([*line, "--no-motion", "--json", "r.json"])
    out, err = capfd.readouterr()
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"flickerscope: {name}: ")
    assert said in err
    assert sorted(os.listdir(here)) == before
    assert Path("r.json").read_bytes() == EARLIER


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_corrupt_middle_is_measured_and_told(
    here: Path, sound: dict[str, bytes], suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path, data = Path(f"a{suffix}"), bytearray(sound[suffix])
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(data)
    assert cli.run(["analyze", "--no-motion", str(path)]) == 0
    out, err = capfd.readouterr()
    assert "damaged" in out
    assert err == ""
    assert cli.run(["analyze", "--no-motion", "--strict", "--json", "r.json", str(path)]) == 1
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"flickerscope: {path}: damaged: ")
    assert Path("r.json").read_bytes() == EARLIER


# --- Without permission ---------------------------------------------------------------------------


@pytest.fixture
def shut(here: Path, sound: dict[str, bytes]) -> Iterator[None]:
    """A file and a folder that may not be read, for a user that is not root."""
    if not hasattr(os, "seteuid"):
        pytest.skip("needs users as Unix has them")
    for name in ("analyze", "compare"):  # what is imported late is imported now
        cli.run([name, *["ok.mkv"] * (1 + (name == "compare")), "--no-motion", "-q"])
    Path("no.mkv").write_bytes(sound[".mkv"])
    Path("shut").mkdir()
    Path("shut/a.mkv").write_bytes(sound[".mkv"])
    for place, mode in (("no.mkv", 0), ("shut", 0), (".", 0o755)):
        os.chmod(place, mode)
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    yield
    os.seteuid(mine)
    os.chmod("shut", 0o700)


def test_what_may_not_be_read_or_written_is_told(
    shut: None, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = {
        ("analyze", "no.mkv"): "no.mkv: cannot be read: Permission denied",
        ("analyze", "shut/a.mkv"): "shut/a.mkv: cannot be read: Permission denied",
        ("analyze", "shut"): "shut: cannot be read: Permission denied",
        ("compare", "ok.mkv", "shut/a.mkv"): "shut/a.mkv: cannot be read: Permission denied",
        ("compare", "ok.mkv", "shut/a.json"): "shut/a.json: cannot be read as a saved",
        ("analyze", "ok.mkv", "--settings", "shut/a.json"): "shut/a.json: cannot be read as a rep",
        ("analyze", "ok.mkv", "--json", "shut/r.json"): "shut/r.json: cannot be written: Permiss",
        ("analyze", "ok.mkv", "-o", "shut/r"): "shut/r: cannot make this folder: Permission den",
    }
    for line, said in lines.items():
        assert cli.run([*line, "-q"]) == 1
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"flickerscope: {said}")
    with pytest.raises(InputError, match="shut/a: cannot be read: Permission denied"):
        find_videos("shut/a")


def test_a_name_too_long_for_an_output_is_told(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["analyze", "ok.mkv", "--json", "x" * 300]) == 1
    out, err = capfd.readouterr()
    assert (out, err) == (
        "",
        f"flickerscope: {'x' * 300}: cannot be written: File name too long\n",
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("-o out", 1, "out/report-2.png: is a folder; name a file"),
        ("-o . --json report-1.png", 2, "report-1.png: would overwrite report-1.png; give every"),
    ],
)
def test_the_figures_of_several_videos_are_checked_before_the_first_is_measured(
    here: Path, capfd: pytest.CaptureFixture[str], line: str, code: int, said: str
) -> None:
    Path("out/report-2.png").mkdir(parents=True)
    assert cli.run(["analyze", "ok.mkv", "nothing.mkv", *line.split()]) == code
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"flickerscope: {said}")
    assert sorted(os.listdir("out")) == ["report-2.png"]


@pytest.mark.skipif(os.name == "nt", reason="such a folder cannot go")
def test_a_current_folder_that_is_gone_is_told(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("gone").mkdir()
    os.chdir("gone")
    os.rmdir("../gone")
    assert cli.run(["analyze", str(here / "ok.mkv")]) == 1
    assert capfd.readouterr() == (
        "",
        "flickerscope: the current folder is gone; change to another one\n",
    )


# --- Interrupted ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")
@pytest.mark.parametrize("isolated", [(), ("--timeout", "600")])
def test_an_interrupt_from_the_keyboard_leaves_nothing_behind(
    tmp_path: Path, isolated: tuple[str, ...]
) -> None:
    """Also while the decoder runs in a process of its own, which gets the signal too."""
    tile = np.random.default_rng(0).integers(0, 256, (480, 640), dtype=np.uint8)
    path = tmp_path / "long.mkv"
    encode(path, (np.roll(tile, n, 1) for n in range(600)), rate=25, codec="mpeg4")
    (tmp_path / "r.json").write_bytes(EARLIER)
    line = [sys.executable, "-m", "flickerscope", "analyze", str(path), "--json", "r.json"]
    with subprocess.Popen(
        [*line, *isolated], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(4)  # it is at work
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "flickerscope: interrupted\n")
    assert sorted(os.listdir(tmp_path)) == ["long.mkv", "r.json"]
    assert (tmp_path / "r.json").read_bytes() == EARLIER


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("options", [(), ("-q", "--json", "-")])
def test_a_full_disk_behind_standard_output_is_told_and_the_reports_are_there(
    here: Path, options: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "flickerscope", "analyze", "ok.mkv", "--no-motion"]
    with open("/dev/full", "w", encoding="utf-8") as full:
        run = subprocess.run(
            [*command, "--csv", "r.csv", *options],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.startswith("flickerscope: standard output: cannot be written: ")
    assert run.stderr.count("\n") == 1
    assert Path("r.csv").stat().st_size > 100


def test_json_nested_beyond_reason_is_refused(here: Path, capsys: Any) -> None:
    Path("deep.json").write_text("[" * 100_000)
    for arguments in (
        ["compare", "ok.mkv", "deep.json"],
        ["analyze", "ok.mkv", "--settings", "deep.json"],
    ):
        assert cli.run(arguments) == 1
        error = capsys.readouterr().err
        assert error.startswith("flickerscope: deep.json: ") and error.count("\n") == 1


@pytest.mark.parametrize("name", ["report.json", "a.PNG"])
def test_a_folder_of_reports_with_the_name_of_one_is_asked_about(
    here: Path, capsys: Any, name: str
) -> None:
    assert cli.run(["analyze", "ok.mkv", "-o", name]) == 2
    assert capsys.readouterr().err == (
        f"flickerscope: -o {name}: takes a folder; for this file alone: "
        f"--{name[-4:].lower().strip('.')} {name}\n"
    )
    assert not Path(name).exists()


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no /dev/zero")
def test_settings_without_an_end_are_refused(here: Path, capsys: Any) -> None:
    assert cli.run(["analyze", "ok.mkv", "--settings", "/dev/zero"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("flickerscope: /dev/zero: cannot be read") and error.count("\n") == 1
