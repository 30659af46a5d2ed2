"""Loads the loops, and tells whether they are compiled already without loading a compiler."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Final

__all__ = ["MODULES", "are_kept", "load"]

PYTHON: Final = f"py{sys.version_info.major}{sys.version_info.minor}"
MODULES: Final = ("area", "look", "motion", "spectrum")


def are_kept(folder: Path | None = None) -> bool:
    """Whether what was compiled lies beside these modules, newer than they are.

    Where it had to be put elsewhere, as the folder cannot be written, this says no.
    """
    place = Path(__file__).parent if folder is None else folder
    for name in MODULES:
        indices = (place / "__pycache__").glob(f"{name}.*.{PYTHON}*.nbi")
        newest = max((index.stat().st_mtime_ns for index in indices), default=0)
        if newest < (place / f"{name}.py").stat().st_mtime_ns:
            return False
    return True


def load(module: str) -> None:
    """Load the loops of a module; the first time after an installation that compiles them."""
    import_module(f"flickerscope.compiled.{module}")
