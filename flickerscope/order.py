"""Sorts names by the numbers in them."""

from __future__ import annotations

import re

__all__ = ["natural_order"]


def natural_order(path: str) -> tuple[tuple[tuple[str, int], ...], str]:
    """A key for sorting by the numbers in names, whatever the case: frame2 before frame10."""
    parts = re.split("([0-9]+)", path.casefold())
    # Text and number alternate; a last text without a number ends with -1.
    texts, numbers = parts[::2], [*map(int, parts[1::2]), -1]
    return tuple(zip(texts, numbers, strict=True)), path
