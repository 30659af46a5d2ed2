"""Measurements of a folder of videos in one file: what a lab can publish of its references."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flickerscope import __version__
from flickerscope.errors import FlickerscopeError, InputError, SettingsError
from flickerscope.files import write_bytes
from flickerscope.scan.finding import find_videos
from flickerscope.scan.job import Choices, ClipJob, Result, check_form, measure_clip
from flickerscope.scan.journal import fingerprint, read_records
from flickerscope.scan.ledger import Engine, Group, Progress, identities_of, open_ledger
from flickerscope.scan.remote import Copies, join
from flickerscope.settings import LADDER, Settings
from flickerscope.stats import Counts

if TYPE_CHECKING:
    from flickerscope.measurement import Measurement

__all__ = ["FORMAT", "MeasurementSet", "Saved", "load_set", "measure_folder"]

FORMAT: Final = 1
"""Of a set. 1: first."""
KIND: Final = "flickerscope set"
PART: Final = ".part"
"""What is added to the name of a set that is not complete: a folder with what there is of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A video that was measured before."""

    name: str
    """Its path below the folder, with forward slashes."""
    text: str
    """The measurement as JSON."""
    frames: int
    rate: float | None
    """Frames a second."""
    segments: tuple[int, ...]
    """Segment lengths that the measurement holds, longest first; of a video without a shot of 8
    frames only its longest shot's."""

    def measurement(self) -> Measurement:
        """Read from the text; raises `InputError`."""
        from flickerscope.measurement import Measurement

        return Measurement.from_json(self.text, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementSet:
    """The videos of a folder, measured under one set of settings."""

    path: str
    settings: Settings
    clips: tuple[Saved, ...]
    """In natural order of their names."""

    def by_path(self) -> dict[str, Saved]:
        """Its videos by paths that stand for them in pairs and records: the set's, then a name."""
        return {join(self.path, clip.name): clip for clip in self.clips}

    def check(self, settings: Settings) -> None:
        """Raise `SettingsError` where videos measured under these cannot be compared with it."""
        ours, theirs = settings.of_one_video.to_dict(), self.settings.of_one_video.to_dict()
        differing = [f"{name} {theirs[name]!r}" for name in ours if ours[name] != theirs[name]]
        if differing:
            raise SettingsError(
                f"{self.path}: was measured under other settings: {'; '.join(differing)}"
            )
        held = {frames for clip in self.clips for frames in clip.segments if frames in LADDER}
        if settings.segment is not None and settings.segment not in held:
            raise SettingsError(
                f"{self.path}: has no segments of {settings.segment} frames; allowed are "
                f"{', '.join(map(str, sorted(held, reverse=True)))}"
            )


def measure_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    choices: Choices,
    engine: Engine,
    devices: Sequence[str] = ("cpu",),
    progress: Callable[[Progress], None] | None = None,
) -> tuple[Counts, list[dict[str, Any]]]:
    """Measure all videos below a folder at every segment length that fits, into one file.

    Until it is complete, what there is of it stands in a folder beside it, from which the next run
    goes on; where a video failed, that folder stays, and the next run tries it again. Returns how
    many were measured, and the records of those that were not.

    Args:
        folder: of videos.
        out: the file; with the suffix ``.gz`` it is compressed.
        choices: how to measure; a segment length in it has no say.
        engine: where to compute.
        devices: where each job computes, in turn.
        progress: called at the beginning and after every video.

    Raises:
        InputError: the folder holds no videos.
        OutputError: the file cannot be written.
    """
    names = find_videos(folder)
    paths = [join(folder, name) for name in names]
    check_form(choices, paths)
    model = Path(folder).resolve().name
    heads = [
        {"model": model, "name": name, "path": path}
        for name, path in zip(names, paths, strict=True)
    ]
    shared = fingerprint(KIND, FORMAT, __version__, choices.to_dict())
    identities = identities_of(paths)
    keys = [
        fingerprint(shared, name, identities[path]) for name, path in zip(names, paths, strict=True)
    ]

    def job_of(number: int, group: Group) -> ClipJob:
        return ClipJob(path=paths[group[0]], choices=choices, device=devices[number % len(devices)])

    part = f"{os.fspath(out)}{PART}"
    with open_ledger(
        part, heads, keys, overwrite=True, retry_failed=True, progress=progress
    ) as ledger:
        ledger.run(engine, _measured, [(i,) for i in ledger.missing], job_of)
        records = ledger.finish()
        lost = [record for record in read_records(records) if record["status"] != "measured"]
        failed = sum(record["status"] == "failed" for record in lost)
        counts = Counts(len(names) - len(lost), len(lost) - failed, failed)
        if counts.measured:
            _write(Path(out), choices.settings, read_records(records))
    if not failed:
        shutil.rmtree(part)
    return counts, lost


def _measured(job: ClipJob) -> list[Result]:
    return [measure_clip(job)]


def _write(out: Path, settings: Settings, records: Iterable[Mapping[str, Any]]) -> None:
    """One video a line, so that a set can be read by eye and by line."""
    head = {
        "format": FORMAT,
        "kind": KIND,
        "version": __version__,
        "settings": settings.of_one_video.to_dict(),
    }
    lines = [
        json.dumps({"name": record["name"], "measurement": record["measurement"]}, allow_nan=False)
        for record in records
        if record["status"] == "measured"
    ]
    text = f'{json.dumps(head)[:-1]}, "clips": [\n' + ",\n".join(lines) + "\n]}\n"
    data = text.encode("utf-8")
    # Without the time in its head, the file is the same whenever it is made.
    write_bytes(out, gzip.compress(data, mtime=0) if out.suffix == ".gz" else data)


def load_set(path: str | os.PathLike[str]) -> MeasurementSet:
    """Read what `measure_folder` wrote; raises `InputError`."""
    try:
        with Copies().holding(os.fspath(path)) as place:
            data = Path(place).read_bytes()
        plain = json.loads(gzip.decompress(data) if str(path).endswith(".gz") else data)
        if plain["kind"] != KIND or plain["format"] != FORMAT:
            raise InputError(f"{path}: is no set of measurements of format {FORMAT}")
        settings = Settings.from_dict(plain["settings"])
        clips = tuple(_saved(clip) for clip in plain["clips"])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ArithmeticError, AttributeError, EOFError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, FlickerscopeError) and str(path) in str(error):
            raise
        raise InputError(
            f"{path}: is no set of measurements; make one with flickerscope measure"
        ) from error
    if not clips:
        raise InputError(f"{path}: holds no measurements")
    return MeasurementSet(path=str(path), settings=settings, clips=clips)


def _saved(plain: Mapping[str, Any]) -> Saved:
    measurement = plain["measurement"]
    (clip,) = measurement["clips"]
    rate = clip["rate"]
    numerator, _, denominator = (rate or "").partition("/")
    return Saved(
        name=str(plain["name"]),
        text=json.dumps(measurement),
        frames=int(clip["frames"]),
        rate=None if rate is None else int(numerator) / int(denominator),
        segments=tuple(int(rung["frames"]) for rung in measurement["rungs"]),
    )
