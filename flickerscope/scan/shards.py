"""Divides a scan among machines that know nothing of each other, and brings it together again."""

from __future__ import annotations

import hashlib
import heapq
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from flickerscope import __version__
from flickerscope.errors import InputError, OutputError, SettingsError
from flickerscope.files import make_folder, replacing, write_bytes
from flickerscope.report.strict import to_json
from flickerscope.scan.job import Choices, Job, Result, run_job
from flickerscope.scan.journal import KEY, fingerprint, read_records
from flickerscope.scan.ledger import LOG, RECORDS, Engine, Progress, group_by
from flickerscope.scan.lock import locked
from flickerscope.scan.pairing import Pairing, Unpaired
from flickerscope.scan.run import SUMMARY, files_of, head_of, measuring, with_segment, write_results
from flickerscope.scan.sets import Saved
from flickerscope.settings import Settings
from flickerscope.stats import Counts

__all__ = ["SHARD", "Shard", "merge_shards", "parse_shard", "run_shard"]

SHARD: Final = "shard.json"
FORMAT: Final = 1
KIND: Final = "flickerscope shard"
PARTS: Final = (
    *("version", "shard", "of", "pairs", "pairing", "choices", "calibration", "unpaired"),
    *("records", "numbers"),
)
"""What the file of a shard says of it."""
READ_AT_ONCE: Final = 1 << 18
"""Bytes of each shard in memory: there may be thousands of shards."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of the parts into which the pairs of a scan are divided."""

    number: int
    """From 1 on."""
    of: int
    """How many parts there are."""

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise SettingsError(f"shard: I/N with I from 1 to N, got {self}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def pick(self, refs: Sequence[str]) -> list[int]:
        """Numbers of its pairs, in their order, by the reference of each pair.

        Pairs that share a reference are in one shard, unless they are more than one shard's share
        of all pairs. Each reference in turn goes to the shard that has the fewest pairs so far.
        """
        share = -(-len(refs) // self.of)
        loads = [(0, number) for number in range(1, self.of + 1)]  # a heap already
        mine: list[int] = []
        for group in group_by(refs, range(len(refs)), max(1, share)):
            load, number = loads[0]
            heapq.heapreplace(loads, (load + len(group), number))
            if number == self.number:
                mine += group
        return sorted(mine)

    def pairing(self, whole: Pairing) -> Pairing:
        """The pairs of this part, and all files that are in no pair."""
        numbers = self.pick([pair.ref for pair in whole.pairs])
        return Pairing(tuple(whole.pairs[i] for i in numbers), whole.unpaired)


def parse_shard(text: str) -> Shard:
    """From ``I/N``; raises `SettingsError`."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise SettingsError(f"shard: I/N with I from 1 to N, got {text!r}")
    return Shard(int(number), int(of))


def run_shard(
    shard: Shard,
    pairing: Pairing,
    out: str | os.PathLike[str],
    *,
    choices: Choices,
    engine: Engine,
    devices: Sequence[str] = ("cpu",),
    saved: Mapping[str, Saved] | None = None,
    calibration: bool = False,
    overwrite: bool = False,
    retry_failed: bool = False,
    work: Callable[[Job], Iterable[Result]] = run_job,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[Counts, list[dict[str, Any]]]:
    """Measure one part of a scan into a folder of its own, for `merge_shards`.

    All shards take the same pairing and choices; see `flickerscope.scan.run.run_scan` for them.
    Without a segment length each shard looks at the lengths of all clips. Returns how many of the
    shard's clips were measured, and the records of those that were not. Raises what `run_scan`
    does, and `SettingsError` for a folder with the results of a whole scan.
    """
    if (Path(out) / SUMMARY).exists():
        raise SettingsError(f"{out}: holds the results of a whole scan; name another folder")
    saved = saved or {}
    choices = with_segment(files_of(pairing.pairs), choices, engine, saved)
    numbers = shard.pick([pair.ref for pair in pairing.pairs])
    pairs = [pairing.pairs[i] for i in numbers]
    with measuring(
        pairs, out, choices=choices, engine=engine, devices=devices, saved=saved,
        overwrite=overwrite, retry_failed=retry_failed, work=work, progress=progress,
    ) as records:  # fmt: skip
        lost = [record for record in read_records(records) if record["status"] != "measured"]
        plain = {
            "format": FORMAT,
            "kind": KIND,
            "version": __version__,
            "shard": shard.number,
            "of": shard.of,
            "pairs": len(pairing.pairs),
            "pairing": fingerprint([head_of(pair) for pair in pairing.pairs]),
            "choices": choices.to_dict(),
            "calibration": calibration,
            "unpaired": [asdict(file) for file in pairing.unpaired],
            "records": _digest(record[KEY] for record in read_records(records)),
            "numbers": numbers,
        }
        # Names of files may hold bytes that are no text: as escapes they stay what they are.
        write_bytes(records.with_name(SHARD), to_json(plain).encode("utf-8", "backslashreplace"))
    failed = sum(record["status"] == "failed" for record in lost)
    return Counts(len(pairs) - len(lost), len(lost) - failed, failed), lost


def merge_shards(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    figure: bool = False,
    parquet: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Bring all shards of a scan together: the files of one that was not divided, byte for byte.

    Args:
        folders: of the shards, in any order.
        out: another folder; made where it is missing.
        figure: draw the summary too.
        parquet: write the table as Parquet too.
        overwrite: replace the results that it holds.

    Returns:
        The summary.

    Raises:
        InputError: a folder is no shard that was measured to its end.
        SettingsError: shards are missing or there twice, or are of different scans.
        OutputError: the results cannot be written.
    """
    parts = _in_order([_read_part(Path(folder)) for folder in folders])
    place = make_folder(out)
    if any(place.samefile(part.folder) for part in parts):
        raise SettingsError(f"{out}: is one of the shards; name another folder")
    records = place / RECORDS
    with locked(place / LOG):
        if records.exists() and not overwrite:
            raise SettingsError(
                f"{out}: holds results already; name another folder, or allow to --overwrite them"
            )
        with replacing(records) as staged:
            _write(staged, parts)
        first = parts[0].plain
        return write_results(
            records,
            Settings.from_dict(first["choices"]["settings"]),
            unpaired=[Unpaired(**file) for file in first["unpaired"]],
            calibration=first["calibration"],
            figure=figure,
            parquet=parquet,
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """A shard that was measured to its end."""

    folder: Path
    plain: Mapping[str, Any]
    """What its file says of it."""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Number in the pairing and record of every pair, without holding a file open."""
        place = 0
        numbers = iter(self.plain["numbers"])
        while True:
            with open(self.folder / RECORDS, "rb") as file:
                file.seek(place)
                lines = file.readlines(READ_AT_ONCE)
                place = file.tell()
            if not lines:
                return
            yield from zip(islice(numbers, len(lines)), lines, strict=True)


def _digest(keys: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode("ascii") + b"\n")
    return digest.hexdigest()


def _read_part(folder: Path) -> _Part:
    path = folder / SHARD
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["kind"] != KIND or plain["format"] != FORMAT or not plain.keys() >= set(PARTS):
            raise InputError(f"{path}: is no shard of format {FORMAT}")
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: holds no shard that was measured to its end; run flickerscope scan --shard "
            "on it"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except InputError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: is no shard of a scan") from error
    if _digest(record[KEY] for record in read_records(folder / RECORDS)) != plain["records"]:
        raise InputError(
            f"{folder}: its records are not those of its {SHARD}; run flickerscope scan --shard "
            f"{plain['shard']}/{plain['of']} to its end"
        )
    return _Part(folder, plain)


def _in_order(parts: Sequence[_Part]) -> list[_Part]:
    """By number, all of one scan and complete; raises `SettingsError`."""
    if not parts:
        raise SettingsError("name the folders of all shards")
    first = parts[0]
    found: dict[int, _Part] = {}
    for part in parts:
        _check_same(first, part)
        other = found.setdefault(part.plain["shard"], part)
        if other is not part:
            raise SettingsError(
                f"{other.folder} and {part.folder}: are both shard {part.plain['shard']} of "
                f"{part.plain['of']}"
            )
    of = first.plain["of"]
    missing = [str(number) for number in range(1, of + 1) if number not in found]
    if missing:
        raise SettingsError(f"of {of} shards these are missing: {', '.join(missing)}")
    return [found[number] for number in sorted(found)]


def _check_same(one: _Part, other: _Part) -> None:
    """Raise `SettingsError` for parts of different scans."""
    if one.plain["of"] != other.plain["of"]:
        raise SettingsError(
            f"{other.folder}: is one of {other.plain['of']} shards, and {one.folder} one of "
            f"{one.plain['of']}"
        )
    ours, theirs = (_choices(part) for part in (one, other))
    differing = [
        f"{name} {ours.get(name)!r} and {theirs.get(name)!r}"
        for name in ours | theirs
        if ours.get(name) != theirs.get(name)
    ]
    if differing:
        raise SettingsError(
            f"{one.folder} and {other.folder}: were measured under different settings: "
            f"{'; '.join(differing)}"
        )
    for name in ("pairs", "pairing", "unpaired"):
        if one.plain[name] != other.plain[name]:
            raise SettingsError(
                f"{one.folder} and {other.folder}: are shards of different pairings; measure all "
                "shards of the same files"
            )


def _choices(part: _Part) -> dict[str, Any]:
    """All that the results depend on, by name."""
    choices = dict(part.plain["choices"])
    named = {name: part.plain[name] for name in ("version", "calibration")}
    return {**choices.pop("settings"), **choices, **named}


def _write(path: Path, parts: Sequence[_Part]) -> None:
    """All records in the order of the pairing."""
    expected = 0
    try:
        with open(path, "wb") as file:
            for number, line in heapq.merge(*(part.lines() for part in parts)):
                if number != expected:
                    break
                file.write(line)
                expected += 1
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    if expected != parts[0].plain["pairs"]:
        raise InputError(f"{parts[0].folder}: the shards do not have every pair once")
