"""Writes files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from flickerscope.errors import OutputError

__all__ = [
    "STAGED",
    "check_writable",
    "make_folder",
    "replacing",
    "write_all",
    "write_bytes",
    "write_text",
]

STAGED: Final = ".flickerscope-"
"""How the names of files begin that are not complete yet."""


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text; raises `OutputError`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file that is either as it was before or complete; raises `OutputError`.

    What is not a regular file (a pipe, a terminal, ``/dev/null``) is written in place.
    """
    write_all([(path, data)])


def write_all(contents: Iterable[tuple[str | os.PathLike[str], bytes]]) -> None:
    """Write several files, each as `write_bytes` does; raises `OutputError`.

    All of them are on the disk under other names before the first one takes its place: a disk
    that is full leaves every one as it was before.
    """
    in_place: list[tuple[Path, bytes]] = []
    with ExitStack() as staged:
        for path, data in contents:
            target = Path(path)
            with _named(path):
                special = target.exists() and not target.is_file()
            if special:
                in_place.append((target, data))
                continue
            file = staged.enter_context(_staged(path))
            with _named(path):
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for target, data in in_place:
            with _named(target):
                target.write_bytes(data)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A name beside the file to write to, which takes its place in the end; raises `OutputError`.

    Whatever ends the block early leaves the file as it was before and nothing beside it. What is
    not a regular file is written in place.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        yield Path(path)
        return
    with _staged(path, suffix=Path(path).suffix) as file:
        yield Path(file.name)


@contextmanager
def _staged(path: str | os.PathLike[str], suffix: str = "") -> Iterator[IO[bytes]]:
    """A temporary file that takes the place of another where the block ends well."""
    with _named(path):
        target = _followed(Path(path))
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115
            dir=target.parent, prefix=STAGED, suffix=suffix, delete=False
        )
    try:
        yield file
        with _named(path):
            file.close()
            os.chmod(file.name, _mode(target))
            os.replace(file.name, target)
    except BaseException:
        with suppress(OSError):  # what was not written yet may not fit on the disk either
            file.close()
        os.unlink(file.name)
        raise


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the system as `OutputError` that names the file."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `OutputError` now for a file that could not be written after a long run."""
    with _named(path):  # of a folder that may not be looked into, or a name that is too long
        _check_writable(path, Path(path))


def _check_writable(path: str | os.PathLike[str], target: Path) -> None:
    if target.is_dir():
        raise OutputError(f"{path or repr(path)}: is a folder; name a file")
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
