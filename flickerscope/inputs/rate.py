"""Frames a second, as users give them."""

from __future__ import annotations

from fractions import Fraction

from flickerscope.errors import SettingsError

__all__ = ["FrameRate", "rate_of"]

FrameRate = Fraction | float | int | str
"""Frames a second: a number, or text such as ``24`` or ``30000/1001``."""


def rate_of(fps: FrameRate | None) -> Fraction | None:
    """Frames a second as a fraction; raises `SettingsError` for what is no number above 0."""
    if fps is None:
        return None
    try:
        rate = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise SettingsError(f"fps is {fps!r}; allowed are numbers above 0") from error
    if rate <= 0:
        raise SettingsError(f"fps is {fps!r}; allowed are numbers above 0")
    return rate
