"""Where the command line's results go: checked before a run, written after it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flickerscope.cli.running import standard_output
from flickerscope.errors import SettingsError
from flickerscope.files import check_writable, make_folder, write_all

if TYPE_CHECKING:
    from flickerscope.comparison import Comparison
    from flickerscope.measurement import Measurement

__all__ = ["STDOUT", "Outputs", "write_analysis", "write_comparison"]

STDOUT = "-"
KINDS = ("json", "png", "csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where the results go; any of them may be stdout, but one at the most."""

    folder: str | None
    json: str | None
    png: str | None
    csv: str | None
    save: str | None = None
    """Where to keep the measurement itself."""
    videos: int = 1
    """Measured alone; of several, each has a figure of its own in the folder."""

    @property
    def stdout(self) -> str | None:
        """Which report has stdout to itself."""
        taken = [name for name in KINDS if getattr(self, name) == STDOUT]
        if len(taken) > 1:
            raise SettingsError(f"only one of --{' and --'.join(taken)} can have stdout")
        return taken[0] if taken else None

    def check(self, inputs: Sequence[str]) -> None:
        """Find out now what would fail, or be overwritten, after a long run."""
        _ = self.stdout
        if self.save == STDOUT:
            raise SettingsError("--save needs the name of a file")
        if self.folder is not None:
            _refuse_report(self.folder)
            make_folder(self.folder)
        taken = {os.path.realpath(path): path for path in inputs}
        for path in self._paths():
            check_writable(path)
            place = os.path.realpath(path)
            if place in taken and not _is_special(path):
                raise SettingsError(
                    f"{path}: would overwrite {taken[place]}; give every file a name of its own"
                )
            taken[place] = path

    def _paths(self) -> list[str]:
        targets = [path for kind in KINDS for path in self.targets(kind)]
        named = targets + ([] if self.save is None else [self.save])
        return [path for path in named if path != STDOUT]

    def targets(self, kind: str) -> list[str]:
        """All paths to which a report of this kind goes."""
        named = getattr(self, kind)
        names = [f"report.{kind}"]
        if kind == "png" and self.videos > 1:
            names = [f"report-{number}.png" for number in range(1, self.videos + 1)]
        folder = [] if self.folder is None else [str(Path(self.folder) / name) for name in names]
        return folder + ([] if named is None else [named])

    def write(
        self,
        renderers: Mapping[str, Callable[[], bytes]],
        further: Mapping[str, bytes] | None = None,
    ) -> None:
        """Render every kind that has a target, then write these and further files.

        Nothing is written if one cannot be rendered, and no file is replaced before all of them
        are on the disk.
        """
        data = {kind: render() for kind, render in renderers.items() if self.targets(kind)}
        named = [(target, data[kind]) for kind in data for target in self.targets(kind)]
        write_all(
            [(target, content) for target, content in named if target != STDOUT]
            + list((further or {}).items())
        )
        for target, content in named:
            if target == STDOUT:
                with standard_output():
                    sys.stdout.buffer.write(content)
                    sys.stdout.buffer.flush()


def write_comparison(result: Comparison, outputs: Outputs) -> None:
    """Write all reports of a comparison."""
    from flickerscope.report import document, table

    outputs.write(
        {
            "json": lambda: _encoded(document.to_json(document.comparison_document(result))),
            "csv": lambda: _encoded(table.comparison_csv(result)),
            "png": lambda: _figure(result),
        }
    )


def write_analysis(results: Sequence[Measurement], device: str, outputs: Outputs) -> None:
    """Write all reports of videos measured alone; with several, each has a figure of its own."""
    from flickerscope.report import document, table

    renderers: dict[str, Callable[[], bytes]] = {
        "json": lambda: _encoded(document.to_json(document.analysis_document(results, device))),
        "csv": lambda: _encoded(table.analysis_csv(results)),
    }
    further = {}
    if len(results) == 1:
        renderers["png"] = lambda: _figure(results[0])
    elif targets := outputs.targets("png"):
        further = {path: _figure(r) for path, r in zip(targets, results, strict=True)}
    if outputs.save is not None:
        further[outputs.save] = results[0].to_json().encode()
    outputs.write(renderers, further)


def _figure(result: Comparison | Measurement) -> bytes:
    from flickerscope.report.figure import save_figure

    data = io.BytesIO()
    save_figure(result, data)
    return data.getvalue()


def _refuse_report(folder: str) -> None:
    """Raise `SettingsError` for a folder that is not there and has the name of a report."""
    kind = Path(folder).suffix.lower().removeprefix(".")
    if kind in KINDS and not os.path.isdir(folder):
        raise SettingsError(f"-o {folder}: takes a folder; for this file alone: --{kind} {folder}")


def _is_special(path: str) -> bool:
    """A pipe, a terminal, a device."""
    return os.path.exists(path) and not os.path.isfile(path)


def _encoded(text: str) -> bytes:
    """UTF-8; bytes of a file's name that are none are written out, as JSON does it."""
    return text.encode(errors="backslashreplace")
