"""Finds what can be measured below a folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Final

from flickerscope.errors import InputError
from flickerscope.order import natural_order
from flickerscope.scan.remote import find_remote, is_remote
from flickerscope.settings import MIN_FRAMES
from flickerscope.suffixes import IMAGE_SUFFIXES, TENSOR_SUFFIXES, VIDEO_SUFFIXES

__all__ = ["find_videos", "stem_of"]

FILE_SUFFIXES: Final = (*VIDEO_SUFFIXES, *TENSOR_SUFFIXES)


def find_videos(folder: str | os.PathLike[str]) -> list[str]:
    """Paths of the videos below a folder, relative to it with forward slashes, in natural order.

    A video is a file with the suffix of one, or of arrays, or a folder that holds at least 3
    pictures and no videos; below a URL, a file. Hidden files and folders are left out. Links are
    followed, but for one to a folder that it lies in itself. Raises `InputError`, and
    `SettingsError` for a URL that needs what is not installed.
    """
    names = find_remote(os.fspath(folder), FILE_SUFFIXES) if is_remote(folder) else _walk(folder)
    if not names:
        raise InputError(
            f"{folder}: holds no videos; allowed are {' '.join(FILE_SUFFIXES)} and folders of "
            "pictures"
        )
    return sorted(names, key=natural_order)


def _walk(folder: str | os.PathLike[str]) -> list[str]:
    root = Path(folder)
    try:
        found = "" if root.is_dir() else "a file" if root.exists() else "not there"
    except OSError as error:  # what lies in a folder that may not be looked into
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    if found:
        raise InputError(f"{folder}: is {found}; name a folder of videos")

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    names: list[str] = []
    outside = frozenset(str(folder) for folder in Path(os.path.realpath(root)).parents)
    above: dict[str, frozenset[str]] = {str(root): outside}
    for place, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        around = above.pop(place) | {os.path.realpath(place)}  # in which all below lies
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(Path(place, name)) not in around
        ]
        above |= {os.path.join(place, name): around for name in folders}
        shown = [name for name in files if not name.startswith(".")]
        here = Path(place).relative_to(root)
        videos = [name for name in shown if name.lower().endswith(FILE_SUFFIXES)]
        names += [(here / name).as_posix() for name in videos]
        pictures = sum(name.lower().endswith(IMAGE_SUFFIXES) for name in shown)
        if not videos and pictures >= MIN_FRAMES:
            if Path(place) == root:
                raise InputError(
                    f"{folder}: holds pictures: name the folder above, of which each folder of "
                    "pictures is a video"
                )
            names.append(here.as_posix())
            folders.clear()  # what lies below belongs to this video
    return names


def stem_of(name: str) -> str:
    """The path without the suffix of a file; a folder's name may have dots of its own."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in FILE_SUFFIXES else str(path)
