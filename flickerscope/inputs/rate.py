"""Frames a second, as users give them."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from flickerscope.errors import SettingsError

__all__ = ["FrameRate", "rate_of"]

FrameRate = Fraction | float | int | str
"""Frames a second: a number, or text such as ``24`` or ``30000/1001``."""


SLOWEST: Final = 1e-6
FASTEST: Final = 1e6


def rate_of(fps: FrameRate | None) -> Fraction | None:
    """Frames a second as a fraction; raises `SettingsError` for what is no rate of a video."""
    if fps is None:
        return None
    try:
        # A fraction of text such as 1e999999999 would take all memory.
        ratio = isinstance(fps, str) and "/" in fps
        if SLOWEST <= (Fraction(fps) if ratio else float(fps)) <= FASTEST:
            return fps if isinstance(fps, Fraction) else _near(Fraction(fps))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        pass
    raise SettingsError(
        f"fps is {fps!r}; allowed are numbers from 0.000001 to 1000000, such as 24 or 30000/1001"
    )


def _near(rate: Fraction) -> Fraction:
    """The simplest fraction of a rate that was rounded, such as 29.97."""
    return rate.limit_denominator(1001) if rate > 1 else 1 / (1 / rate).limit_denominator(1001)
