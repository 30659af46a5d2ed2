"""A scan in shards: brought together they are the scan that was not divided, byte for byte."""

from __future__ import annotations

import errno
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import scanning
from hypothesis import given
from hypothesis import strategies as st

from flickerscope.cli import run
from flickerscope.errors import InputError, OutputError, SettingsError
from flickerscope.scan import shards
from flickerscope.scan.job import Choices
from flickerscope.scan.ledger import RECORDS
from flickerscope.scan.lock import locked
from flickerscope.scan.pairing import Pairing, Unpaired
from flickerscope.scan.pool import run_here
from flickerscope.scan.run import SUMMARY, TABLE, run_scan
from flickerscope.scan.shards import SHARD, Shard, merge_shards, parse_shard, run_shard
from flickerscope.settings import Settings

PAIRS = 40
LEFT_OVER = Unpaired("ref", "a", "ref/99.mp4")
PAIRING = Pairing(tuple(scanning.pairs(PAIRS)), (LEFT_OVER,))
CHOICES = Choices(settings=Settings(segment=16))
COMMON: dict[str, Any] = {"engine": run_here, "work": scanning.work, "calibration": True}


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in (RECORDS, TABLE, SUMMARY)}


def shard(number: int, of: int, out: Path, pairing: Pairing = PAIRING, **options: Any) -> Path:
    run_shard(Shard(number, of), pairing, out, **{"choices": CHOICES, **COMMON, **options})
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole")
    run_scan(PAIRING, out, choices=CHOICES, **COMMON)
    return contents(out)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("three")
    return [shard(number, 3, root / str(number)) for number in (1, 2, 3)]


@given(st.lists(st.sampled_from("abcdefgh"), max_size=40), st.integers(1, 12))
def test_every_pair_is_in_one_shard_and_a_reference_too_if_it_fits(refs, of) -> None:
    shards = [Shard(number, of).pick(refs) for number in range(1, of + 1)]
    assert sorted(i for numbers in shards for i in numbers) == list(range(len(refs)))
    assert all(numbers == sorted(numbers) for numbers in shards)
    share = -(-len(refs) // of)
    for ref, count in Counter(refs).items():
        holding = sum(any(refs[i] == ref for i in numbers) for numbers in shards)
        assert holding == 1 or count > share
    loads = [len(numbers) for numbers in shards]
    assert max(loads) - min(loads) <= share  # no more than one group apart


def test_merged_shards_are_the_undivided_scan(three, whole, tmp_path) -> None:
    merge_shards([three[2], three[0], three[1]], tmp_path)
    assert contents(tmp_path) == whole
    summary = json.loads(whole[SUMMARY])
    assert summary["clips"]["text"] == f"{PAIRS} of {PAIRS} measured"
    assert len(summary["calibration"]) == 2


def test_shards_are_read_a_part_at_a_time(three, whole, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shards, "READ_AT_ONCE", 3000)  # two or three records
    merge_shards(three, tmp_path)
    assert contents(tmp_path) == whole


def test_the_undivided_scan_goes_on_from_merged_shards(three, whole, tmp_path) -> None:
    """Shards give a pair the key that it has in the whole."""
    merge_shards(three, tmp_path)
    steps: list[Any] = []
    run_scan(PAIRING, tmp_path, choices=CHOICES, progress=steps.append, **COMMON)
    assert [(step.resumed, step.total) for step in steps] == [(PAIRS, PAIRS)]
    assert contents(tmp_path) == whole


def test_more_shards_than_pairs_leave_some_empty(tmp_path: Path) -> None:
    pairing = Pairing(tuple(scanning.pairs(4)), ())
    folders = [shard(n, 5, tmp_path / str(n), pairing) for n in range(1, 6)]
    assert any((folder / RECORDS).read_bytes() == b"" for folder in folders)
    merge_shards(folders, tmp_path / "merged")
    run_scan(pairing, tmp_path / "whole", choices=CHOICES, **COMMON)
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")


def test_a_shard_goes_on_where_it_stopped(three, tmp_path) -> None:
    class PowerFailureError(Exception):
        pass

    def dying(step: Any) -> None:
        if step.done == 5:
            raise PowerFailureError

    with pytest.raises(PowerFailureError):
        shard(1, 3, tmp_path, progress=dying)
    with pytest.raises(InputError, match="no shard that was measured to its end"):
        merge_shards([tmp_path, *three[1:]], tmp_path / "x")
    steps: list[Any] = []
    shard(1, 3, tmp_path, progress=steps.append)
    assert steps[0].resumed == 5
    for name in (RECORDS, SHARD):
        assert (tmp_path / name).read_bytes() == (three[0] / name).read_bytes()


def test_a_shard_is_kept_out_of_the_folder_of_a_whole_scan(three, whole, tmp_path) -> None:
    merge_shards(three, tmp_path)
    with pytest.raises(SettingsError, match="holds the results of a whole scan"):
        shard(1, 2, tmp_path, overwrite=True)
    assert contents(tmp_path) == whole


def test_missing_shards_are_named(three, tmp_path) -> None:
    with pytest.raises(SettingsError, match="of 3 shards these are missing: 1, 3"):
        merge_shards([three[1]], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_shard_twice_is_refused(three, tmp_path) -> None:
    twice = shutil.copytree(three[0], tmp_path / "twice")
    with pytest.raises(SettingsError, match="are both shard 1 of 3"):
        merge_shards([*three, twice], tmp_path / "x")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"choices": Choices(settings=Settings(segment=16, window="boxcar"))}, "window 'hann' and"),
        ({"choices": Choices(settings=Settings(segment=16), stream=1)}, "stream 0 and 1"),
        ({"calibration": False}, "calibration True and False"),
        ({"pairing": Pairing(tuple(scanning.pairs(PAIRS + 2)), (LEFT_OVER,))}, "different pairing"),
        ({"pairing": Pairing(PAIRING.pairs[::-1], (LEFT_OVER,))}, "different pairing"),
        ({"pairing": Pairing(PAIRING.pairs, ())}, "different pairing"),
    ],
)
def test_shards_of_different_scans_are_refused(three, tmp_path, options, complaint) -> None:
    other = shard(3, 3, tmp_path / "other", **options)
    with pytest.raises(SettingsError, match=complaint):
        merge_shards([*three[:2], other], tmp_path / "x")


def test_shards_of_another_division_are_refused(three, tmp_path) -> None:
    other = shard(3, 4, tmp_path / "other")
    with pytest.raises(SettingsError, match=r"one of 4 shards, and .* one of 3"):
        merge_shards([*three, other], tmp_path / "x")


def test_a_shard_whose_records_were_changed_since_is_refused(three, tmp_path) -> None:
    cut = shutil.copytree(three[0], tmp_path / "cut")
    lines = (cut / RECORDS).read_bytes().splitlines(keepends=True)
    (cut / RECORDS).write_bytes(b"".join(lines[:-1]))
    with pytest.raises(InputError, match="scan --shard 1/3 to its end"):
        merge_shards([cut, *three[1:]], tmp_path / "x")


KIND = '"kind": "flickerscope shard"'


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "\x00", f'{{{KIND}, "format": 9}}', f'{{{KIND}, "format": 1}}']
)
def test_a_file_that_is_no_shard_is_refused(three, tmp_path, text) -> None:
    (tmp_path / SHARD).write_text(text)
    with pytest.raises(InputError, match=r"shard\.json: is no shard"):
        merge_shards([tmp_path, *three], tmp_path / "x")


def test_names_that_are_no_text_go_through_a_shard(tmp_path: Path) -> None:
    pairing = Pairing(PAIRING.pairs, (Unpaired("ref", "a", "\udcff\u2028.mp4"),))
    merge_shards([shard(n, 2, tmp_path / str(n), pairing) for n in (1, 2)], tmp_path / "merged")
    run_scan(pairing, tmp_path / "whole", choices=CHOICES, **COMMON)
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")


def test_a_disk_that_fills_leaves_no_half_merged_results(three, tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards.os, "fsync", full)
    with pytest.raises(OutputError, match="cannot be written: No space left"):
        merge_shards(three, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["scan.log"]


def test_results_are_not_replaced_unasked_nor_while_somebody_writes(three, whole, tmp_path) -> None:
    with pytest.raises(SettingsError, match="is one of the shards"):
        merge_shards(three, three[0])
    (tmp_path / RECORDS).write_text("")
    with pytest.raises(SettingsError, match="holds results already"):
        merge_shards(three, tmp_path)
    with locked(tmp_path / "scan.log"), pytest.raises(OutputError, match="another run"):
        merge_shards(three, tmp_path, overwrite=True)
    merge_shards(three, tmp_path, overwrite=True)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/5", "1.0/3"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="shard: I/N with I from 1 to N"):
        parse_shard(text)


def test_merge_shows_the_summary_and_has_the_gate_of_a_scan(three, tmp_path, capsys) -> None:
    folders = [str(folder) for folder in three]
    line = ["merge", *folders, "-o", str(tmp_path)]
    assert run(line) == 0
    assert f"{PAIRS} of {PAIRS} measured" in capsys.readouterr().out
    assert run([*line, "--overwrite", "--quiet", "--fail-above", "-10"]) == 3
    assert "above the limit of -10" in capsys.readouterr().err
    assert run(line) == 2


def test_the_command_line_measures_a_shard(tmp_path: Path, capsys) -> None:
    for folder in ("pred", "ref"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            (tmp_path / folder / f"{number}.npy").write_bytes(b"broken")
    line = ["scan", str(tmp_path / "pred"), "--ref", str(tmp_path / "ref"), "--shard", "2/3"]
    assert run([*line, "--dry-run"]) == 0
    assert "1 pair of 1 model" in capsys.readouterr().out
    assert run([*line, "--fail-above", "3"]) == 2
    assert "give it to flickerscope merge" in capsys.readouterr().err
    out = tmp_path / "out"
    options = ("--device", "cpu", "--workers", "1", "--segment", "16", "-o", str(out))
    assert run([*line, *options]) == 1
    assert "shard 2/3: 0 of 1 measured, 1 failed" in capsys.readouterr().out
    (record,) = map(json.loads, (out / RECORDS).read_text().splitlines())
    assert record["name"] == "1.npy"
