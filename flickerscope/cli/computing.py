"""Where many clips are computed, as the options say."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from flickerscope.errors import SettingsError

if TYPE_CHECKING:
    from flickerscope.scan.local import Computing

__all__ = ["computing"]

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
