"""A scan that is killed, loses its workers or its disk: nothing is lost or different."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scanning

from flickerscope.errors import OutputError
from flickerscope.scan.job import Choices
from flickerscope.scan.ledger import RECORDS
from flickerscope.scan.pairing import Pairing
from flickerscope.scan.pool import run_here
from flickerscope.scan.run import SUMMARY, TABLE, run_scan
from flickerscope.settings import Settings
from flickerscope.video import encode

SCRIPT = Path(__file__).with_name("scanning.py")
PAIRS = 120


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in (RECORDS, TABLE, SUMMARY)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole")
    scanning.scan(str(out), PAIRS)
    return contents(out)


def run_killed_at(out: Path, moments: list[float]) -> None:
    """Runs of the same command, each killed after so many seconds with all that it started."""
    for moment in moments:
        command = [sys.executable, str(SCRIPT), str(out), str(PAIRS)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as run:
            time.sleep(moment)
            run.kill()
            assert run.stderr is not None
            complaints = run.stderr.read()
        assert run.returncode in (0, -9), complaints.decode()
    subprocess.run([sys.executable, str(SCRIPT), str(out), str(PAIRS)], check=True)


def check_complete(out: Path, whole: dict[str, bytes]) -> None:
    assert contents(out) == whole
    assert whole[RECORDS].count(b"\n") == PAIRS
    names = {file.name for file in out.iterdir()}
    assert names == {RECORDS, TABLE, SUMMARY, "scan.log"}


def test_a_scan_that_is_killed_ends_as_one_that_was_not(tmp_path: Path, whole) -> None:
    draw = random.Random(1)
    run_killed_at(tmp_path, [draw.uniform(0.3, 1.0) for _ in range(3)])
    check_complete(tmp_path, whole)


@pytest.mark.slow
def test_a_scan_that_is_killed_at_fifty_moments_ends_as_one_that_was_not(tmp_path, whole) -> None:
    """From before the first record to after the last file."""
    draw = random.Random(2)
    run_killed_at(tmp_path, [draw.uniform(0.1, 1.2) for _ in range(50)])
    check_complete(tmp_path, whole)


@pytest.mark.slow
def test_a_scan_of_videos_that_is_killed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """After so many records, and at any moment while it writes all kinds of files."""
    for k, folder in enumerate(("pred", "ref")):
        (tmp_path / folder).mkdir()
        for number in range(10):
            noise = np.random.default_rng(10 * k + number)
            frames = noise.integers(90, 160, (64, 32, 32)).astype(np.uint8)
            encode(tmp_path / folder / f"{number}.mp4", frames, rate=24, pixel_format="gray")

    def command(out: str) -> list[str]:
        line = ["scan", "pred", "--ref", "ref", "-o", out, "--workers", "2", "--device", "cpu"]
        line += ["--export", "vbench", "--parquet", "--quiet"]
        return [sys.executable, "-m", "flickerscope", *line]

    subprocess.run(command("whole"), cwd=tmp_path, check=True)
    draw, out = random.Random(3), tmp_path / "out"

    def is_due(count: int) -> bool:
        if count == 10:  # the first file that is to take the place of another
            return any(out.glob(".flickerscope-*"))
        return (out / RECORDS).exists() and (out / RECORDS).read_bytes().count(b"\n") >= count

    for count in (1, 3, 6, 10, 10, 10, 10):
        with subprocess.Popen(command("out"), cwd=tmp_path, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and not is_due(count):
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 3) if count == 10 else 0)
            run.kill()
    subprocess.run(command("out"), cwd=tmp_path, check=True)
    names = {file.relative_to(tmp_path / "whole") for file in (tmp_path / "whole").rglob("*.*")}
    assert names == {file.relative_to(tmp_path / "out") for file in (tmp_path / "out").rglob("*.*")}
    for name in names - {Path("scan.log")}:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_workers_that_are_killed_take_their_clips_only(tmp_path: Path) -> None:
    summary = scanning.scan(str(tmp_path), 40, deadly=(3, 4, 17))
    assert summary["clips"]["text"] == "37 of 40 measured, 3 failed"
    lost = [(clip["model"], clip["name"]) for clip in summary["not_measured"]]
    assert lost == [("a", f"{number}-deadly.mp4") for number in (3, 4, 17)]
    assert "ended by SIGKILL" in summary["not_measured"][0]["reason"]


def test_each_record_is_on_the_disk_before_the_next_clip_is_measured(tmp_path: Path) -> None:
    """Also within a job, and where it was done before and its process was lost."""
    done: list[Any] = []

    def work(job: Any) -> Iterator[Any]:
        for result in scanning.work(job):
            lines = (tmp_path / RECORDS).read_bytes().count(b"\n")
            assert lines == len(done)
            done.append(lines)
            yield result

    def twice(function: Any, jobs: Any) -> Iterator[Any]:
        for outcome in run_here(function, jobs):
            yield outcome
            if outcome.status == "part":
                yield outcome

    pairing = Pairing(tuple(scanning.pairs(12)), ())
    choices = Choices(settings=Settings(segment=16))
    run_scan(pairing, tmp_path, choices=choices, engine=twice, work=work)
    assert len(done) == (tmp_path / RECORDS).read_bytes().count(b"\n") == 12


@pytest.fixture
def small_files():
    """No file may grow over so many bytes, as when the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_loses_nothing(tmp_path: Path, whole, small_files) -> None:
    for size in (20_000, len(whole[RECORDS]) - 1):
        small_files(size)
        with pytest.raises(OutputError, match="cannot be written"):
            scanning.scan(str(tmp_path), PAIRS)
    small_files(resource.RLIM_INFINITY)
    scanning.scan(str(tmp_path), PAIRS)
    check_complete(tmp_path, whole)
