"""Keeps the records of a long run as they come, so that it can go on after any interruption."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from flickerscope.errors import InputError, OutputError
from flickerscope.files import replacing

__all__ = ["Journal", "file_identity", "fingerprint", "read_records", "to_line"]

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

    Of a folder of pictures, the sum of the sizes and the latest of the times. Raises `InputError`.
    """
    try:
        found = os.stat(path)
        if not os.path.isdir(path):
            return found.st_size, found.st_mtime_ns
        with os.scandir(path) as entries:
            files = [entry.stat() for entry in entries if entry.is_file()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    times = (found.st_mtime_ns, *(file.st_mtime_ns for file in files))
    return sum(file.st_size for file in files), max(times)


class Journal:
    """A file of JSON lines to which each record is added, on disk, before the next is begun.

    Every record has a ``key``, a string that says what it was made of (`fingerprint`).
    A line that was cut off when the run died is dropped. `finish` brings the records into an order
    of their own, so that the file is the same however often the run was interrupted. In memory are
    only the keys, and where their records lie in the file.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, keep: Callable[[Record], bool] | None = None
    ) -> None:
        """Open, or go on with what is there.

        ``keep``: tells of a record that is there whether it stands; others may be added again.
        Raises `InputError` for a file that is no journal, and `OutputError`.
        """
        self.path = Path(path)
        self._places: dict[str, tuple[int, int]] = {}
        try:
            # Unbuffered: a record is with the system when `add` returns, and never half in memory.
            self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 - closed by close()
            try:
                self._file.truncate(self._read(keep))
            except BaseException:
                self._file.close()
                raise
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

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: str) -> Record:
        """One record, read from the file."""
        record: Record = json.loads(self._line(key))
        return record

    def close(self) -> None:
        """Leave the file as it is, to be gone on with."""
        self._file.close()

    def add(self, record: Mapping[str, Any]) -> None:
        """Write one record; raises `OutputError`, and then holds what it held before."""
        key = record[KEY]
        if key in self:
            raise ValueError(f"{self.path}: a record of {key} is there already")
        line = to_line(record)
        rest = memoryview(line)
        before = self._file.seek(0, os.SEEK_END)
        try:
            while rest:  # a full disk may take a part of it only
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(before)
            raise self._unwritable(error) from error
        self._places[key] = before, len(line)

    def finish(self, keys: Iterable[str]) -> None:
        """Close, and leave the records of these keys only, in this order; raises `OutputError`."""
        with replacing(self.path) as staged, open(staged, "wb") as file:
            try:
                for key in keys:
                    file.write(self._line(key))
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                raise self._unwritable(error) from error
            self.close()  # before the new file takes its place: some systems want that

    def _line(self, key: str) -> bytes:
        start, length = self._places[key]
        self._file.seek(start)
        return self._file.read(length)

    def _read(self, keep: Callable[[Record], bool] | None) -> int:
        """Find the records; returns where the last whole line ends."""
        end = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    self._check_rest(line, number)
                    break
                try:
                    record = json.loads(line)
                    key = str(record[KEY])
                except (ValueError, TypeError, KeyError) as error:
                    raise self._foreign(number) from error
                if keep is None or keep(record):
                    self._places[key] = end, len(line)
                else:
                    self._places.pop(key, None)
                end += len(line)
        return end

    def _check_rest(self, rest: bytes, line: int) -> None:
        """What follows the last whole line will be cut off, so it must be ours."""
        known = rest.rstrip(b"\0")  # a file system may fill up with zeros when the power fails
        if not HEAD.startswith(known[: len(HEAD)]):
            raise self._foreign(line)

    def _foreign(self, line: int) -> InputError:
        return InputError(
            f"{self.path}:{line}: is no record of a run; name another folder, or remove the file"
        )

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path}: cannot be written: {error.strerror or error}")


def to_line(record: Mapping[str, Any]) -> bytes:
    """A record as it stands in the file, its key first."""
    ordered = {KEY: record[KEY]} | dict(record)
    return json.dumps(ordered, allow_nan=False, ensure_ascii=True).encode("ascii") + b"\n"


def read_records(path: str | os.PathLike[str]) -> Iterator[Record]:
    """The records of a journal that was finished, one at a time; raises `InputError`."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                    _ = record[KEY]
                except (ValueError, TypeError, KeyError) as error:
                    raise InputError(f"{path}:{number}: is no record of a scan") from error
                yield record
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
