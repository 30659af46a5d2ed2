"""Clips that lie in a store: listed, told apart and fetched by their URLs, through fsspec."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flickerscope.errors import InputError, SettingsError

__all__ = ["Cache", "Copies", "find_remote", "is_remote", "join", "remote_identity"]

URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""How a URL begins; a single letter would be a drive."""
MARKS: Final = ("ETag", "etag", "md5Hash", "Content-MD5", "blob_id")
"""Of what stores say of a file, what changes with its content and only then."""
TIMES: Final = ("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created")
HELD: Final = ".held-"
"""How folders in a cache begin that hold the files at work."""
STALE: Final = 24 * 3600.0
"""Seconds after which such a folder was left by a process that was killed."""


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether this is a URL, as in ``s3://bucket/clip.mp4``."""
    return URL.match(os.fspath(path)) is not None


def join(folder: str | os.PathLike[str], name: str) -> str:
    """A path below a folder or a URL."""
    if is_remote(folder):
        return f"{os.fspath(folder).rstrip('/')}/{name}"
    return str(Path(folder) / name)


def find_remote(folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """Paths of the files below a URL with one of these suffixes, relative to it.

    Hidden files and folders are left out. Raises `InputError` and `SettingsError`.
    """
    store, root = _store(folder)
    root = root.rstrip("/")
    with _named(folder):
        found = [str(name)[len(root) :].lstrip("/") for name in store.find(root)]
    return [
        name
        for name in found
        if name.lower().endswith(suffixes) and not any(p.startswith(".") for p in name.split("/"))
    ]


def remote_identity(url: str) -> tuple[str, ...]:
    """What tells that a file is as it was: its size and its ETag or the like, else its time.

    Raises `InputError` for one that cannot be asked for, and `SettingsError`.
    """
    store, path = _store(url)
    with _named(url):
        info = store.info(path)
    if info.get("type") == "directory":
        raise InputError(f"{url}: is a folder; a clip in a store is one file")
    marks = [f"{name}={info[name]}" for name in MARKS if info.get(name)]
    times = [f"{name}={info[name]}" for name in TIMES if info.get(name)]
    return (f"size={info.get('size')}", *(marks or times))


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder that keeps copies for the next time."""

    folder: str
    size: float
    """Gigabytes; the copies that were not used for longest go first."""

    def fetch(self, url: str, place: Path) -> None:
        """Have the file in this place, which lies in the folder."""
        identity = "\n".join((url, *remote_identity(url)))
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
        kept = Path(self.folder) / f"{digest}{place.suffix}"
        with suppress(FileNotFoundError):
            _link(kept, place)  # a name of its own: the cache may drop the other one at any time
            os.utime(kept)
            return
        _download(url, place)
        with suppress(FileExistsError):  # by another process, meanwhile
            _link(place, kept)
        self._prune()

    def _prune(self) -> None:
        """Drop what is over the size, and what killed processes left."""
        now, files = time.time(), []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # gone meanwhile
                    found = entry.stat()
                    if entry.is_file():
                        files.append((found.st_mtime, found.st_size, entry.path))
                    elif entry.name.startswith(HELD) and now - found.st_mtime > STALE:
                        shutil.rmtree(entry.path, ignore_errors=True)
        over = sum(size for _, size, _ in files) - self.size * 1e9
        for _, size, path in sorted(files):
            if over <= 0:
                return
            Path(path).unlink(missing_ok=True)
            over -= size


class Copies:
    """Local files in place of URLs, for as long as they are needed."""

    def __init__(self, cache: Cache | None = None) -> None:
        self._cache = cache
        self._urls: dict[str, str] = {}

    @contextmanager
    def holding(self, path: str) -> Iterator[str]:
        """The path of a local file with this content: itself, or a copy that goes with the block.

        Raises `InputError` where there is no such file, `OSError` where the network fails, and
        `SettingsError` where what is needed to read such a URL is not installed.
        """
        if not is_remote(path):
            yield path
            return
        if self._cache is not None:
            os.makedirs(self._cache.folder, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=HELD, dir=None if self._cache is None else self._cache.folder
        ) as folder:
            name = path.partition("?")[0].partition("#")[0].rpartition("/")[2]
            place = Path(folder) / (name or "clip")
            self._urls[str(place)] = path
            if self._cache is None:
                _download(path, place)
            else:
                self._cache.fetch(path, place)
            yield str(place)

    def named(self, text: str) -> str:
        """The text with the URLs in place of the names of their copies."""
        for place, url in self._urls.items():
            text = text.replace(place, url)
        return text


def _store(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise SettingsError(
            f"{url}: URLs need fsspec: pip install 'flickerscope[remote]'"
        ) from error
    try:
        store, path = url_to_fs(url)
    except (ImportError, ValueError) as error:  # the protocol's package is missing, or unknown
        raise SettingsError(f"{url}: cannot be read: {error}") from error
    return store, str(path)


@contextmanager
def _named(url: str) -> Iterator[None]:
    """What goes wrong in a store, as `InputError` that names the URL."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{url}: is not there") from error
    except Exception as error:
        raise InputError(f"{url}: cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__


def _download(url: str, place: Path) -> None:
    store, path = _store(url)
    try:
        store.get_file(path, str(place))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"{url}: is not there") from error
    except Exception as error:
        raise OSError(f"cannot be fetched: {_reason(error)}") from error
    if not place.is_file():
        raise InputError(f"{url}: is a folder; a clip in a store is one file")


def _link(source: Path, target: Path) -> None:
    """Another name of the same file, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        shutil.copyfile(source, target)
