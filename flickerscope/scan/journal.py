"""Keeps the records of a long run as they come, so that it can go on after any interruption."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from flickerscope.errors import InputError, OutputError
from flickerscope.files import write_bytes

__all__ = ["Journal", "file_identity", "fingerprint"]

Record = dict[str, Any]

KEY: Final = "key"
HEAD: Final = b'{"key": "'
"""How every line begins: it tells a line that was cut off from a file that is none of ours."""


def fingerprint(*parts: Any) -> str:
    """Hexadecimal digest of plain values: the same for equal ones on every machine."""
    text = json.dumps(parts, sort_keys=True, allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def file_identity(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Size (bytes) and time of the last change (ns): what tells that a file is as it was.

    Raises `InputError`.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return found.st_size, found.st_mtime_ns


class Journal:
    """A file of JSON lines to which each record is added, on disk, before the next is begun.

    Every record has a ``key``, a string that says what it was made of (`fingerprint`), and is
    written once.
    A line that was cut off when the run died is dropped. `finish` brings the records into an order
    of their own, so that the file is the same however often the run was interrupted.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open, or go on with what is there.

        Raises `InputError` for a file that is no journal, and `OutputError`.
        """
        self.path = Path(path)
        self.records: dict[str, Record] = {}
        """What is in the file, by key."""
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
            whole = data.rfind(b"\n") + 1
            self._read(data[:whole])
            self._check_rest(data[whole:])
            # Unbuffered: a record is with the system when `add` returns, and never half in memory.
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
            self._file.truncate(whole)
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the file as it is, to be gone on with."""
        self._file.close()

    def add(self, record: Mapping[str, Any]) -> None:
        """Write one record; raises `OutputError`, and then holds what it held before."""
        kept = dict(record)
        if kept[KEY] in self.records:
            raise ValueError(f"{self.path}: a record of {kept[KEY]} is there already")
        line = memoryview(_line(kept))
        before = self._file.seek(0, os.SEEK_END)
        try:
            while line:  # a full disk may take a part of it only
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(before)
            raise self._unwritable(error) from error
        self.records[kept[KEY]] = kept

    def finish(self, keys: Iterable[str]) -> None:
        """Close, and leave the records of these keys only, in this order; raises `OutputError`."""
        lines = b"".join(_line(self.records[key]) for key in keys)
        self.close()
        write_bytes(self.path, lines)

    def _read(self, data: bytes) -> None:
        for number, line in enumerate(data.split(b"\n")[:-1], 1):
            try:
                record = json.loads(line)
                self.records.setdefault(str(record[KEY]), record)
            except (ValueError, TypeError, KeyError) as error:
                raise self._foreign(number) from error

    def _check_rest(self, rest: bytes) -> None:
        """What follows the last whole line will be cut off, so it must be ours."""
        known = rest.rstrip(b"\0")  # a file system may fill up with zeros when the power fails
        if not HEAD.startswith(known[: len(HEAD)]):
            raise self._foreign(len(self.records) + 1)

    def _foreign(self, line: int) -> InputError:
        return InputError(
            f"{self.path}:{line}: is no record of a scan; name another folder, or remove the file"
        )

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path}: cannot be written: {error.strerror or error}")


def _line(record: Record) -> bytes:
    ordered = {KEY: record[KEY]} | record
    return json.dumps(ordered, allow_nan=False, ensure_ascii=True).encode("ascii") + b"\n"
