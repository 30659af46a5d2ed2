"""A journal that survives being cut off anywhere."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from flickerscope.errors import InputError, OutputError
from flickerscope.scan.journal import Journal, file_identity, fingerprint

RECORDS = [{"key": f"k{name}", "name": name} for name in ("é", "b\n", "c")]
KEYS = [record["key"] for record in RECORDS]


def run(path: Path, order=(0, 1, 2)) -> bytes:
    with Journal(path) as journal:
        for i in order:
            if KEYS[i] not in journal:
                journal.add(RECORDS[i])
        journal.finish(KEYS)
    return path.read_bytes()


def test_a_journal_cut_off_at_any_byte_ends_as_if_it_had_not_been(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody pulls the plug here
    whole = run(tmp_path / "whole.jsonl")
    assert [json.loads(line) for line in whole.splitlines()] == RECORDS
    for length in range(len(whole) + 1):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(whole[:length])
        with Journal(path) as journal:
            assert len(journal) == whole[:length].count(b"\n")
        assert run(path) == whole


def test_the_order_in_which_records_came_is_not_seen_in_the_end(tmp_path: Path) -> None:
    assert run(tmp_path / "a", (2, 0, 1)) == run(tmp_path / "b", (0, 1, 2))


def test_a_record_is_in_the_file_before_the_journal_is_closed(tmp_path: Path) -> None:
    with Journal(tmp_path / "a") as journal:
        journal.add(RECORDS[0])
        assert json.loads((tmp_path / "a").read_bytes()) == RECORDS[0]


def test_records_that_are_no_longer_asked_for_are_left_out(tmp_path: Path) -> None:
    run(tmp_path / "a")
    with Journal(tmp_path / "a") as journal:
        journal.finish(KEYS[1:])
    lines = (tmp_path / "a").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == RECORDS[1:]


def test_a_key_is_written_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "a") as journal:
        journal.add(RECORDS[0])
        with pytest.raises(ValueError, match="already"):
            journal.add(RECORDS[0])


def test_a_disk_that_fills_leaves_whole_lines(tmp_path: Path, monkeypatch) -> None:
    with Journal(tmp_path / "a") as journal:
        journal.add(RECORDS[0])
        before = (tmp_path / "a").read_bytes()

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            journal.add(RECORDS[1])
        assert (tmp_path / "a").read_bytes() == before
        monkeypatch.undo()
        journal.add(RECORDS[1])
    with Journal(tmp_path / "a") as journal:
        assert list(journal) == KEYS[:2]


@pytest.mark.parametrize("text", ["no json\n", "[1]\n", "{}\n", "3\n", "no line end", '{"name": 1'])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(InputError, match=":1: is no record"):
        Journal(tmp_path / "a")
    assert (tmp_path / "a").read_text() == text


def test_zeros_that_a_power_cut_left_are_dropped(tmp_path: Path) -> None:
    whole = run(tmp_path / "a")
    (tmp_path / "a").write_bytes(whole + b'{"key": "12' + bytes(40))
    assert run(tmp_path / "a") == whole


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "a"):
        with pytest.raises(OutputError):
            Journal(path)


def test_a_fingerprint_tells_values_apart_but_not_the_order_of_names() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len({fingerprint("a", "b"), fingerprint("ab"), fingerprint("b", "a")}) == 3


def test_a_file_that_changed_has_another_identity(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = file_identity(tmp_path / "a")
    (tmp_path / "a").write_text("12")
    assert file_identity(tmp_path / "a") != first
    with pytest.raises(InputError, match="cannot be read"):
        file_identity(tmp_path / "b")
