"""The table of a scan as Parquet: the columns of the CSV, with types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from flickerscope.errors import SettingsError

__all__ = ["check_parquet", "write_parquet"]

TEXT: Final = frozenset(
    ("role", "model", "name", "prompt", "seed", "pred", "ref", "path", "status", "reason",
     "verdict", "warnings")
)  # fmt: skip
WHOLE: Final = frozenset(("frames", "pred_frames", "ref_frames", "segment"))
"""Columns of whole numbers; all others are of doubles."""
ROWS: Final = 10_000
"""Of a group: what is in memory at a time."""


def check_parquet() -> None:
    """Raise `SettingsError` where the library is missing."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "--parquet needs pyarrow: pip install 'flickerscope[parquet]'"
        ) from error


def write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows under these columns; what a row lacks is null. The same rows give the same file."""
    import pyarrow
    from pyarrow import parquet

    def kind(name: str) -> Any:
        if name in TEXT:
            return pyarrow.string()
        return pyarrow.int64() if name in WHOLE else pyarrow.float64()

    schema = pyarrow.schema([(name, kind(name)) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        source = iter(rows)
        while group := list(islice(source, ROWS)):
            plain = [{name: _clean(row.get(name)) for name in columns} for row in group]
            writer.write_table(pyarrow.Table.from_pylist(plain, schema=schema))


def _clean(value: Any) -> Any:
    """Bytes of a file's name that are no text are written out, as in the CSV."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return value
