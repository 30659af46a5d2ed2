"""Keeps account of jobs whose results go into a journal: done, to do, to be done alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from flickerscope.errors import InputError, SettingsError
from flickerscope.files import STAGED, make_folder
from flickerscope.scan.job import CRASHED, Result
from flickerscope.scan.journal import Journal, file_identity
from flickerscope.scan.lock import locked
from flickerscope.scan.pool import Engine, Outcome
from flickerscope.scan.remote import is_remote, remote_identity
from flickerscope.scan.vbench import FOLDER

__all__ = [
    "LOG",
    "RECORDS",
    "Engine",
    "Group",
    "Ledger",
    "Progress",
    "group_by",
    "identities_of",
    "open_ledger",
]

RECORDS: Final = "results.jsonl"
LOG: Final = "scan.log"

ASKED_AT_ONCE: Final = 32
"""Files in a store."""

Group = tuple[int, ...]
"""Numbers of the clips that one job measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    total: int
    """Clips."""
    done: int
    resumed: int
    """Those of them that an earlier run had measured."""
    record: Mapping[str, Any] | None = None
    """The one that was just made."""


@contextmanager
def open_ledger(
    folder: str | os.PathLike[str],
    heads: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Ledger]:
    """A ledger in a folder, which nobody else may write into meanwhile.

    Args:
        folder: made where it is missing.
        heads: how the record of every clip begins: what it is, with its ``path`` or ``pred``.
        keys: what the record is made of (`fingerprint`), for every clip.
        overwrite: drop what the folder holds of clips that are not asked for.
        retry_failed: measure clips again that failed for good.
        progress: called at the beginning and after every clip.

    Raises:
        SettingsError: the folder holds the results of other settings, or of clips that are not
            asked for though their files are there.
        InputError: it holds something else, or a clip is asked for twice.
        OutputError: it cannot be written, or another run writes there.
    """
    _check_once(heads, keys)
    place = make_folder(folder)
    retried = set(keys) if retry_failed else set()
    with (
        locked(place / LOG) as log,
        Journal(place / RECORDS, keep=partial(_stands, retried)) as journal,
    ):
        for written in (place, place / FOLDER):
            for stale in written.glob(f"{STAGED}*"):  # of a run that was killed while it wrote
                stale.unlink(missing_ok=True)
        if not overwrite:
            _check_kept(journal, heads, keys)
        yield Ledger(place, heads, keys, journal, log, progress)


def _check_once(heads: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
    """Raise `InputError` for a clip that would have two records."""
    seen: set[str] = set()
    for head, key in zip(heads, keys, strict=True):
        if key in seen:
            raise InputError(f"{_path_of(head)}: is asked for twice of {head['model']}")
        seen.add(key)


def _stands(retried: Container[str], record: Mapping[str, Any]) -> bool:
    """Whether a record is not to be made again; ``retried``: keys of what is if it failed."""
    failed = record.get("status") == "failed" and record["key"] in retried
    return not (record.get(CRASHED) or failed)


def _check_kept(journal: Journal, heads: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
    """Raise `SettingsError` where records would go that nothing takes the place of.

    Those of files that are gone may go, and a clip's own of before its file changed.
    """
    remedy = "name another folder, or allow to --overwrite them"
    if len(journal) and not any(key in journal for key in keys):
        folder = journal.path.parent
        raise SettingsError(f"{folder}: holds the results of other clips or settings; {remedy}")
    others = set(journal) - set(keys)
    asked = {_sides_of(head) for head in heads} if others else set()
    lost = sorted(
        _path_of(record)
        for record in map(journal.__getitem__, others)  # one at a time: there may be many
        if _sides_of(record) not in asked
        and (is_remote(_path_of(record)) or os.path.exists(_path_of(record)))
    )
    if lost:
        what = "1 clip" if len(lost) == 1 else f"{len(lost)} clips"
        raise SettingsError(
            f"{journal.path.parent}: holds records of {what} that this run leaves out, such as "
            f"{lost[0]}; {remedy}"
        )


def _sides_of(head: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a record is of, whatever became of it."""
    return head["model"], _path_of(head), head.get("ref")


def _path_of(head: Mapping[str, Any]) -> str:
    """Of the clip that a record is of."""
    return str(head.get("pred") or head["path"])


class Ledger:
    """All clips of a run, and which of them are measured."""

    def __init__(
        self,
        folder: Path,
        heads: Sequence[Mapping[str, Any]],
        keys: Sequence[str],
        journal: Journal,
        log: IO[str],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.folder, self._heads, self._keys = folder, heads, keys
        self._journal, self._file = journal, log
        self._progress = progress
        self._done = self._resumed = sum(key in journal for key in keys)
        self.log(f"begins: {len(keys)} clips, {self._resumed} measured before")
        self._tell()

    @property
    def missing(self) -> list[int]:
        """Numbers of the clips that are not measured."""
        return [i for i, key in enumerate(self._keys) if key not in self._journal]

    def run(
        self,
        engine: Engine,
        function: Callable[[Any], Iterable[Result]],
        groups: Sequence[Group],
        job_of: Callable[[int, Group], Any],
    ) -> None:
        """Have the clips measured, and write what comes back.

        A job that takes its process with it is divided, so that the clip that did it is found and
        the others are measured. What it had given before stays.

        Args:
            engine: where.
            function: one result for each clip of a job; where it yields them, each is written as it
                comes.
            groups: of clips, a job each.
            job_of: the job for a group, which has this number among them.
        """
        while groups:
            jobs = [job_of(number, group) for number, group in enumerate(groups)]
            alone: list[Group] = []
            for outcome in engine(function, jobs):
                group = groups[outcome.index]
                if outcome.status == "part":
                    self._add(group[outcome.part], outcome.value)
                elif outcome.status == "ok":
                    if outcome.value is not None:
                        for i, result in zip(group, outcome.value, strict=True):
                            self._add(i, result)
                elif len(group) > 1:
                    self.log(f"a job of {len(group)} clips is divided: {outcome.reason}")
                    alone += [(i,) for i in group if self._keys[i] not in self._journal]
                else:
                    self._add(group[0], self._lost(group[0], outcome))
            groups = sorted(alone)

    def finish(self) -> Path:
        """Bring the records into the order of the clips; returns their file."""
        self._journal.finish(self._keys)
        return self._journal.path

    def log(self, text: str) -> None:
        """The log is where clocks and times are."""
        self._file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")
        self._file.flush()

    def _lost(self, i: int, outcome: Outcome) -> Result:
        content = {
            "status": outcome.status,
            "reason": f"{_path_of(self._heads[i])}: {outcome.reason}",
            CRASHED: outcome.crashed,
        }
        return Result(content=content, seconds=0.0)

    def _add(self, i: int, result: Result) -> None:
        if self._keys[i] in self._journal:  # its job was done again
            return
        record = {"key": self._keys[i]} | dict(self._heads[i]) | result.content
        self._journal.add(record)
        self._done += 1
        name = str(record["name"]).replace("\n", "\\n")
        self.log(f"{record['status']} {record['model']} {name} {result.seconds:.2f} s")
        if result.trace is not None:
            self.log(result.trace)
        self._tell(record)

    def _tell(self, record: Mapping[str, Any] | None = None) -> None:
        if self._progress is not None:
            step = Progress(
                total=len(self._keys), done=self._done, resumed=self._resumed, record=record
            )
            self._progress(step)


def group_by(labels: Sequence[Hashable], indices: Sequence[int], most: int) -> list[Group]:
    """Those of the indices whose labels are the same, up to ``most`` of them at a time."""
    groups: dict[Hashable, list[int]] = {}
    for i in indices:
        groups.setdefault(labels[i], []).append(i)
    return [
        tuple(group[start : start + most])
        for group in groups.values()
        for start in range(0, len(group), most)
    ]


def identities_of(paths: Iterable[str]) -> dict[str, Any]:
    """What tells of each file that it is as it was; ``None`` for one that cannot be read, which
    fails.
    """
    found = dict.fromkeys(paths)
    remote = [path for path in found if is_remote(path)]
    found |= {path: _identity(path, file_identity) for path in found if not is_remote(path)}
    if remote:  # each answer takes a while to come
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            answers = pool.map(lambda url: _identity(url, remote_identity), remote)
            found |= zip(remote, answers, strict=True)
    return found


def _identity(path: str, ask: Callable[[str], tuple[Any, ...]]) -> tuple[Any, ...] | None:
    try:
        return ask(path)
    except InputError:
        return None
