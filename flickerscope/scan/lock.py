"""Keeps two runs from writing into one folder."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from flickerscope.errors import OutputError

__all__ = ["locked"]

FAR: Final = 1 << 30
"""The byte that is locked on Windows, where nobody else could read it."""
HELD: Final = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
"""Errors that mean that somebody else has the lock; others, that there can be none."""


@contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Hold a text file, opened to be added to; raises `OutputError` where somebody else does, or
    where the file system has no locks.

    The system lets go of it when the process ends, however it ends.
    """
    try:
        file = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    with file:
        try:
            _hold(file)
        except OSError as error:
            folder = Path(path).parent
            if error.errno in HELD:
                what = "another run is writing there; wait for it, or name another folder"
            else:
                what = (
                    f"no file can be locked there ({error.strerror or error}); name a folder on "
                    "another file system, such as a local disk"
                )
            raise OutputError(f"{folder}: {what}") from error
        yield file


def _hold(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(FAR)
        module: Any = msvcrt
        module.locking(file.fileno(), module.LK_NBLCK, 1)
        file.seek(0, os.SEEK_END)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
