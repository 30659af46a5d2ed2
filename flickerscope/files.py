"""Writes files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from flickerscope.errors import OutputError

__all__ = ["check_writable", "make_folder", "write_bytes", "write_text"]


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text; raises `OutputError`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file that is either as it was before or complete; raises `OutputError`.

    What is not a regular file (a pipe, a terminal, ``/dev/null``) is written in place.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        target = _followed(target)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=".flickerscope-", delete=False
        ) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, _mode(target))
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `OutputError` now for a file that could not be written after a long run."""
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    allowed = not target.exists() or os.access(target, os.W_OK)
    if target.is_file() or not target.exists():
        folder = _followed(target).parent
        if not folder.is_dir():
            raise OutputError(f"{path}: there is no folder {folder}")
        # A new file takes the place of the old one.
        allowed = allowed and os.access(folder, os.W_OK | os.X_OK)
    if not allowed:
        raise OutputError(f"{path}: no permission to write there")


def make_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, made where it is missing; raises `OutputError`."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot make this folder: {error.strerror or error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: no permission to write into this folder")
    return folder


def _followed(target: Path) -> Path:
    """Where a link leads: it keeps pointing at what is then the new file."""
    return Path(os.path.realpath(target)) if target.is_symlink() else target


def _mode(target: Path) -> int:
    """Permissions of the file to replace, or those a new one would get."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
