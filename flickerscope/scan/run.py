"""Runs a scan: jobs into a journal, and from the journal the results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Protocol

from flickerscope import __version__
from flickerscope.errors import SettingsError
from flickerscope.files import make_folder, write_all
from flickerscope.report.strict import to_json
from flickerscope.scan.job import CRASHED, Choices, Job, Result, run_job
from flickerscope.scan.journal import Journal, file_identity, fingerprint, read_records
from flickerscope.scan.lengths import (
    Length,
    LengthJob,
    fit_segment,
    frames_compared,
    read_lengths,
)
from flickerscope.scan.lock import locked
from flickerscope.scan.pairing import Pair
from flickerscope.scan.pool import Outcome
from flickerscope.scan.summary import summarize
from flickerscope.scan.table import records_csv
from flickerscope.settings import Settings

__all__ = ["RECORDS", "SUMMARY", "TABLE", "Engine", "Progress", "find_segment", "run_scan"]

RECORDS: Final = "results.jsonl"
TABLE: Final = "results.csv"
SUMMARY: Final = "summary.json"
LOG: Final = "scan.log"

MOST_PREDS: Final = 8
"""Predictions that one job holds against their reference: what a killed run may lose."""
FILES_A_JOB: Final = 64
"""Files whose lengths are looked up by one job."""
RECORD_FORMAT: Final = 1


class Engine(Protocol):
    """What does jobs, such as `flickerscope.scan.pool.Pool.run`: shaped like ``map``."""

    def __call__(self, function: Callable[[Any], Any], jobs: Sequence[Any], /) -> Iterator[Outcome]:
        """The outcome of ``function(job)`` for every job, in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a scan is."""

    total: int
    """Pairs."""
    done: int
    resumed: int
    """Those of them that an earlier run had measured."""
    record: Mapping[str, Any] | None = None
    """The one that was just measured."""
    seconds: float | None = None
    """That it took."""


def run_scan(
    pairs: Sequence[Pair],
    out: str | os.PathLike[str],
    *,
    choices: Choices,
    engine: Engine,
    devices: Sequence[str] = ("cpu",),
    saved: Mapping[str, str] | None = None,
    calibration: bool = False,
    overwrite: bool = False,
    work: Callable[[Job], list[Result]] = run_job,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Measure all pairs and write the results into a folder; returns the summary.

    What an earlier run left in the folder is gone on with: a pair is measured once as long as its
    files and the settings stay what they are. The results do not depend on the engine, nor on how
    often the run was interrupted.

    Args:
        pairs: what to hold against what, in the order of the results.
        out: folder; made where it is missing.
        choices: how to measure. Without a segment length, `find_segment` finds one.
        engine: where to compute.
        devices: where each job computes, in turn.
        saved: references measured before, as JSON by their path.
        calibration: say what the statistic is between references.
        overwrite: drop the records of other clips or settings that the folder holds, even if it
            holds no other ones.
        work: measures a job.
        progress: called at the beginning and after every pair.

    Raises:
        InputError: a file is not there, or the folder holds something else.
        SettingsError: the folder holds the results of other clips or settings.
        OutputError: the results cannot be written, or another run writes there.
    """
    folder = make_folder(out)
    with locked(folder / LOG) as log:
        if choices.settings.segment is None:
            segment = find_segment(pairs, choices, engine, saved=saved or {})
            settings = choices.settings.with_changes(segment=segment)
            choices = replace(choices, settings=settings)
        keys = _keys(pairs, choices, saved or {})
        with Journal(folder / RECORDS, keep=lambda record: not record.get(CRASHED)) as journal:
            if len(journal) and not overwrite and not any(key in journal for key in keys):
                raise SettingsError(
                    f"{folder}: holds the results of other clips or settings; name another folder, "
                    "or allow to --overwrite them"
                )
            run = _Run(pairs, keys, choices, journal, log, progress)
            run.begin()
            for jobs in run.waves(devices, saved or {}):
                run.take(jobs, engine(work, [job for job, _ in jobs]))
            journal.finish(keys)
        return write_results(folder, choices.settings, calibration=calibration)


def write_results(folder: Path, settings: Settings, *, calibration: bool = False) -> dict[str, Any]:
    """Write the table and the summary of the records in a folder; returns the summary."""
    records = folder / RECORDS
    summary = summarize(read_records(records), settings, calibration=calibration)
    table = records_csv(read_records(records))
    write_all(
        [
            (folder / TABLE, table.encode("utf-8", "backslashreplace")),
            (folder / SUMMARY, to_json(summary).encode("utf-8", "backslashreplace")),
        ]
    )
    return summary


def find_segment(
    pairs: Sequence[Pair], choices: Choices, engine: Engine, *, saved: Mapping[str, str]
) -> int:
    """The longest of 32, 25, 16, 14 and 8 frames that 95 % of the pairs reach."""
    if saved:
        raise SettingsError("references measured before need a segment length")
    paths = list(dict.fromkeys(path for pair in pairs for path in (pair.pred, pair.ref)))
    jobs = [
        LengthJob(tuple(paths[i : i + FILES_A_JOB]), choices)
        for i in range(0, len(paths), FILES_A_JOB)
    ]
    found: dict[str, Length | None] = {}
    for outcome in engine(read_lengths, jobs):
        if outcome.status == "ok":
            found.update(zip(jobs[outcome.index].paths, outcome.value, strict=True))
    return fit_segment(
        frames_compared(found.get(pair.pred), found.get(pair.ref), choices.settings)
        for pair in pairs
    )


def _keys(pairs: Sequence[Pair], choices: Choices, saved: Mapping[str, str]) -> list[str]:
    """What each record is made of."""
    shared = fingerprint(RECORD_FORMAT, __version__, choices.to_dict())
    identities: dict[str, Any] = {}

    def identity(path: str) -> Any:
        if path not in identities:
            given = saved.get(path)
            identities[path] = file_identity(path) if given is None else fingerprint(given)
        return identities[path]

    return [
        fingerprint(
            shared,
            *(pair.model, pair.name, pair.pred, pair.ref, pair.prompt, pair.seed),
            *(identity(pair.pred), identity(pair.ref)),
        )
        for pair in pairs
    ]


Jobs = list[tuple[Job, tuple[int, ...]]]
"""Each with the numbers of its pairs."""


class _Run:
    """The pairs, and which of them are measured."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        keys: Sequence[str],
        choices: Choices,
        journal: Journal,
        log: IO[str],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.pairs, self.keys, self.choices = pairs, keys, choices
        self.journal, self.log = journal, log
        self.progress = progress
        self.done = self.resumed = sum(key in journal for key in keys)
        self.alone: list[int] = []
        """Pairs whose job took a process with it: each gets a job of its own."""

    def begin(self) -> None:
        """Say what there is to do."""
        self._log(f"begins: {len(self.pairs)} pairs, {self.resumed} measured before")
        self._tell()

    def waves(self, devices: Sequence[str], saved: Mapping[str, str]) -> Iterator[Jobs]:
        """Jobs for all pairs that are not measured; then for those whose process died."""
        missing = [i for i, key in enumerate(self.keys) if key not in self.journal]
        yield self._jobs(_by_reference(self.pairs, missing), devices, saved)
        if self.alone:
            yield self._jobs([(i,) for i in sorted(self.alone)], devices, saved)

    def _jobs(
        self,
        groups: Sequence[tuple[int, ...]],
        devices: Sequence[str],
        saved: Mapping[str, str],
    ) -> Jobs:
        jobs = []
        for number, group in enumerate(groups):
            ref = self.pairs[group[0]].ref
            job = Job(
                ref=ref,
                preds=tuple(self.pairs[i].pred for i in group),
                choices=self.choices,
                device=devices[number % len(devices)],
                saved=saved.get(ref),
            )
            jobs.append((job, group))
        return jobs

    def take(self, jobs: Jobs, outcomes: Iterator[Outcome]) -> None:
        """Write what the jobs come to."""
        for outcome in outcomes:
            _, group = jobs[outcome.index]
            if outcome.status == "ok":
                for i, result in zip(group, outcome.value, strict=True):
                    self._add(i, result)
            elif len(group) > 1:
                self._log(f"a job of {len(group)} clips is divided: {outcome.reason}")
                self.alone += group
            else:
                self._add(group[0], self._lost(group[0], outcome))

    def _lost(self, i: int, outcome: Outcome) -> Result:
        content = {
            "status": outcome.status,
            "reason": f"{self.pairs[i].pred}: {outcome.reason}",
            CRASHED: outcome.crashed,
        }
        return Result(content=content, seconds=0.0)

    def _add(self, i: int, result: Result) -> None:
        pair = self.pairs[i]
        names = ("model", "name", "pred", "ref", "prompt", "seed")
        record = {"key": self.keys[i]} | {name: getattr(pair, name) for name in names}
        self.journal.add(record | result.content)
        self.done += 1
        self._log(f"{result.content['status']} {pair.model} {pair.name} {result.seconds:.2f} s")
        if result.trace is not None:
            self._log(result.trace)
        self._tell(record | result.content, result.seconds)

    def _tell(self, record: Mapping[str, Any] | None = None, seconds: float | None = None) -> None:
        if self.progress is not None:
            self.progress(
                Progress(
                    total=len(self.pairs),
                    done=self.done,
                    resumed=self.resumed,
                    record=record,
                    seconds=seconds,
                )
            )

    def _log(self, text: str) -> None:
        """The log is where clocks, hosts and times are."""
        self.log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")
        self.log.flush()


def _by_reference(pairs: Sequence[Pair], indices: Sequence[int]) -> list[tuple[int, ...]]:
    """Indices of pairs that share a reference, a few of them at a time."""
    groups: dict[str, list[int]] = {}
    for i in indices:
        groups.setdefault(pairs[i].ref, []).append(i)
    return [
        tuple(group[start : start + MOST_PREDS])
        for group in groups.values()
        for start in range(0, len(group), MOST_PREDS)
    ]
