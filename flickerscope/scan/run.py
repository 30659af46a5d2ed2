"""Runs a scan: jobs into a journal, and from the journal the results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from flickerscope import __version__
from flickerscope.errors import OutputError
from flickerscope.files import make_folder, replacing
from flickerscope.report.strict import to_json
from flickerscope.scan.gather import gather
from flickerscope.scan.job import Choices, Job, Result, check_form, run_job
from flickerscope.scan.journal import fingerprint, read_records
from flickerscope.scan.ledger import Engine, Group, Progress, group_by, identities_of, open_ledger
from flickerscope.scan.lengths import find_segment
from flickerscope.scan.pairing import Pair, Pairing, Unpaired
from flickerscope.scan.readings import ModelReadings, readings_of
from flickerscope.scan.sets import Saved
from flickerscope.scan.summary import summarize
from flickerscope.scan.table import Table, scan_table
from flickerscope.scan.vbench import FOLDER, find_written, vbench_texts
from flickerscope.settings import Settings

__all__ = [
    "FIGURE",
    "SUMMARY",
    "TABLE",
    "files_of",
    "head_of",
    "measuring",
    "run_scan",
    "with_segment",
    "write_files",
    "write_results",
]

TABLE: Final = "results.csv"
SUMMARY: Final = "summary.json"
FIGURE: Final = "summary.png"
PARQUET: Final = "results.parquet"
HEAD: Final = ("model", "name", "pred", "ref", "prompt", "seed")
"""What the record of a pair says of it."""
MOST_PREDS: Final = 8
"""Predictions that one job holds against their reference."""
RECORD_FORMAT: Final = 2


def run_scan(
    pairing: Pairing,
    out: str | os.PathLike[str],
    *,
    choices: Choices,
    engine: Engine,
    devices: Sequence[str] = ("cpu",),
    saved: Mapping[str, Saved] | None = None,
    calibration: bool = False,
    figure: bool = False,
    parquet: bool = False,
    overwrite: bool = False,
    retry_failed: bool = False,
    work: Callable[[Job], Iterable[Result]] = run_job,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Measure all pairs and write the results into a folder; returns the summary.

    What an earlier run left in the folder is gone on with: a pair is measured once as long as its
    files and the settings stay what they are. The results do not depend on the engine, nor on how
    often the run was interrupted.

    Args:
        pairing: what to hold against what, in the order of the results. What does not pair is
            named in the summary, and counted for each model.
        out: folder; made where it is missing.
        choices: how to measure. Without a segment length it is the longest of 32, 25, 16, 14 and 8
            frames that 95 % of the pairs reach.
        engine: where to compute.
        devices: where each job computes, in turn.
        saved: references measured before, by their path.
        calibration: say what the statistic is between references.
        figure: draw the summary too.
        parquet: write the table as Parquet too.
        overwrite: drop the records of other clips or settings that the folder holds.
        retry_failed: measure clips again that failed, though neither they nor the settings changed.
        work: measures a job; a result for each prediction.
        progress: called at the beginning and after every pair.

    Raises:
        InputError: the folder holds something else.
        SettingsError: the folder holds the results of other clips or settings, or an option goes
            with none of the files.
        OutputError: the results cannot be written, or another run writes there.
    """
    saved = saved or {}
    choices = with_segment(files_of(pairing.pairs), choices, engine, saved)
    with measuring(
        pairing.pairs, out, choices=choices, engine=engine, devices=devices, saved=saved,
        overwrite=overwrite, retry_failed=retry_failed, work=work, progress=progress,
    ) as records:  # fmt: skip
        return write_results(
            records, choices.settings, unpaired=pairing.unpaired, calibration=calibration,
            figure=figure, parquet=parquet,
        )  # fmt: skip


def with_segment(
    files: Sequence[tuple[str, str]], choices: Choices, engine: Engine, saved: Mapping[str, Saved]
) -> Choices:
    """The choices with the segment length that all pairs of files have; raises `SettingsError`."""
    # What was measured before is not read again, whatever it was.
    check_form(choices, [path for pair in files for path in pair if path not in saved])
    if choices.settings.segment is not None:
        return choices
    segment = find_segment(files, choices, engine, saved=saved)
    return replace(choices, settings=choices.settings.with_changes(segment=segment))


@contextmanager
def measuring(
    pairs: Sequence[Pair],
    out: str | os.PathLike[str],
    *,
    choices: Choices,
    engine: Engine,
    devices: Sequence[str],
    saved: Mapping[str, Saved],
    overwrite: bool,
    retry_failed: bool,
    work: Callable[[Job], Iterable[Result]],
    progress: Callable[[Progress], None] | None,
) -> Iterator[Path]:
    """Measure pairs; gives the file of their records while nobody else may write beside it.

    As `run_scan`, for choices with a segment length.
    """
    heads = [head_of(pair) for pair in pairs]
    keys = _keys(heads, choices, saved)

    def job_of(number: int, group: Group) -> Job:
        ref = pairs[group[0]].ref
        return Job(
            ref=ref,
            preds=tuple(pairs[i].pred for i in group),
            choices=choices,
            device=devices[number % len(devices)],
            saved=saved[ref].text if ref in saved else None,
        )

    with open_ledger(
        out, heads, keys, overwrite=overwrite, retry_failed=retry_failed, progress=progress
    ) as ledger:
        groups = group_by([pair.ref for pair in pairs], ledger.missing, MOST_PREDS)
        ledger.run(engine, work, groups, job_of)
        yield ledger.finish()


def files_of(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Prediction and reference of each pair."""
    return [(pair.pred, pair.ref) for pair in pairs]


def head_of(pair: Pair) -> dict[str, Any]:
    """How the record of a pair begins."""
    return {name: getattr(pair, name) for name in HEAD}


def write_results(
    records: Path,
    settings: Settings,
    *,
    unpaired: Sequence[Unpaired] = (),
    calibration: bool = False,
    figure: bool = False,
    parquet: bool = False,
) -> dict[str, Any]:
    """Write the table, the summary and its figure beside the records; returns the summary.

    Without ``figure`` there is none: one that an earlier run drew is removed.
    """
    read = partial(read_records, records)
    gathered = gather(read())
    for file in unpaired:  # a model of which nothing pairs has a row too
        gathered.models.setdefault(file.model, ModelReadings(file.model))
    summary = summarize(gathered, settings, unpaired=unpaired, calibration=calibration)

    def draw() -> bytes:
        from flickerscope.scan.drawing import draw_scan  # loads matplotlib

        return draw_scan(gathered, summary)

    write_files(
        records, summary, scan_table(read), draw if figure else None, parquet=parquet,
        further=vbench_texts(read(), readings_of),
    )  # fmt: skip
    return summary


def write_files(
    records: Path,
    summary: Mapping[str, Any],
    table: Table,
    draw: Callable[[], bytes] | None,
    *,
    parquet: bool = False,
    further: Mapping[str, str] | None = None,
) -> None:
    """Write a summary, a table, a figure and further texts, by their names, beside the records.

    Without ``draw`` there is no figure, without ``parquet`` the table is CSV only: what an earlier
    run wrote of them is removed.
    """
    with ExitStack() as staged:  # all are on the disk before any takes the place of an earlier one
        text = to_json(dict(summary))
        _text(staged, records.with_name(SUMMARY), lambda file: file.write(text))
        _text(staged, records.with_name(TABLE), table.write)
        if parquet:
            from flickerscope.scan.parquet import write_parquet  # loads pyarrow

            columns, target = table.columns, records.with_name(PARQUET)
            _write(staged, target, lambda path: write_parquet(path, columns, table.rows()))
        for name, content in (further or {}).items():
            target = records.parent / name
            make_folder(target.parent)
            _text(staged, target, partial(_put, content))
        if draw is not None:
            data = draw()
            _write(staged, records.with_name(FIGURE), lambda path: path.write_bytes(data))
    exported = [name for name in find_written(records.parent) if name not in (further or {})]
    unwanted = {FIGURE: draw is None, PARQUET: not parquet}
    for name in [*exported, *(name for name, is_stale in unwanted.items() if is_stale)]:
        try:
            (records.parent / name).unlink(missing_ok=True)
        except OSError as error:
            text = f"{records.parent / name}: cannot be removed: {error.strerror or error}"
            raise OutputError(text) from error
    if exported:
        with suppress(OSError):  # it holds something else
            (records.parent / FOLDER).rmdir()


def _put(text: str, file: IO[str]) -> None:
    file.write(text)


def _text(staged: ExitStack, target: Path, write: Callable[[IO[str]], object]) -> None:
    def into(path: Path) -> None:
        with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            write(file)

    _write(staged, target, into)


def _write(staged: ExitStack, target: Path, write: Callable[[Path], object]) -> None:
    """Have a file written that takes its place with all others of the stack."""
    path = staged.enter_context(replacing(target))
    try:
        write(path)
        with open(path, "r+b") as file:
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error


def _keys(
    heads: Sequence[Mapping[str, Any]], choices: Choices, saved: Mapping[str, Saved]
) -> list[str]:
    """What each record is made of."""
    shared = fingerprint(RECORD_FORMAT, __version__, choices.to_dict())
    paths = dict.fromkeys(head[role] for head in heads for role in ("pred", "ref"))
    identities = identities_of(path for path in paths if path not in saved)
    identities |= {path: fingerprint(saved[path].text) for path in paths if path in saved}
    return [
        fingerprint(shared, list(head.values()), identities[head["pred"]], identities[head["ref"]])
        for head in heads
    ]
