"""Writes rows as CSV that spreadsheets and data frames take for what it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final

__all__ = ["safe_name", "safe_text", "to_csv", "write_csv"]

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What the text of a cell begins with where a spreadsheet computes it."""


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows under a header; what a row lacks is empty."""
    text = io.StringIO()
    write_csv(text, columns, rows)
    return text.getvalue()


def write_csv(file: IO[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """The same into an open file, a row at a time."""
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


def safe_name(path: str) -> str:
    """A path such that no spreadsheet takes it for a formula, as in ``./=1+1.mp4``."""
    return f"./{path}" if path.startswith(FORMULA) else path


def safe_text(text: str | None) -> str | None:
    """A text such that no spreadsheet takes it for a formula, as in ``'=1+1``."""
    return f"'{text}" if text is not None and text.startswith(FORMULA) else text
