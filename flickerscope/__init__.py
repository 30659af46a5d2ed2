"""Measure temporal flicker in video, and tell how much more of it a prediction has."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flickerscope.errors import (
    DeviceError,
    FlickerscopeError,
    InputError,
    OutputError,
    SettingsError,
    TooShortError,
)
from flickerscope.settings import Settings

if TYPE_CHECKING:
    from flickerscope.comparison import Comparison, analyze, compare
    from flickerscope.measurement import Measurement

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "DeviceError",
    "FlickerscopeError",
    "InputError",
    "Measurement",
    "OutputError",
    "Settings",
    "SettingsError",
    "TooShortError",
    "__version__",
    "analyze",
    "compare",
]

# torch takes seconds to import: what needs it is loaded when it is first asked for.
_LAZY = {
    "Comparison": "flickerscope.comparison",
    "Measurement": "flickerscope.measurement",
    "analyze": "flickerscope.comparison",
    "compare": "flickerscope.comparison",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
