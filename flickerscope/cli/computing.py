"""Where many clips are computed and kept, as the options say."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from flickerscope.errors import SettingsError

if TYPE_CHECKING:
    from flickerscope.scan.local import Computing
    from flickerscope.scan.remote import Cache

__all__ = ["cache_of", "computing"]

CACHE_SIZE: Final = 20.0
"""Gigabytes."""
ENGINES: Final = "local", "ray"


def computing(
    engine: str, address: str | None, **options: Any
) -> AbstractContextManager[Computing]:
    """The engine of this name, with the options that all have; raises `SettingsError`."""
    if engine not in ENGINES:
        raise SettingsError(f"--engine: one of {', '.join(ENGINES)}, got {engine!r}")
    if engine == "ray":
        from flickerscope.scan.cluster import ray_engine

        return ray_engine(address=address, **options)
    if address is not None:
        raise SettingsError("--address is that of a Ray cluster: it needs --engine ray")
    from flickerscope.scan.local import local_engine

    return local_engine(**options)


def cache_of(folder: str | None, size: float | None) -> Cache | None:
    """The cache of these options, if there is one; raises `SettingsError` and `OutputError`."""
    if folder is None:
        if size is not None:
            raise SettingsError("--cache-size is that of a cache: it needs --cache")
        return None
    size = CACHE_SIZE if size is None else size
    if not 0 < size < float("inf"):
        raise SettingsError(f"--cache-size: a positive number of gigabytes, got {size}")
    from flickerscope.files import make_folder
    from flickerscope.scan.remote import Cache

    return Cache(str(make_folder(folder)), size)
