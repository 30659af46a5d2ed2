"""JSON that every program can read: no NaN, no infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["fold_infinite", "to_json", "unfold_infinite"]

INFINITE: Final = "infinite"
WORDS: Final = {"above": math.inf, "below": -math.inf}


def to_json(document: dict[str, Any]) -> str:
    """Strict JSON; raises `ValueError` for NaN and infinity."""
    return json.dumps(document, allow_nan=False, indent=1, ensure_ascii=False) + "\n"


def fold_infinite(row: Mapping[str, Any]) -> dict[str, Any]:
    """With null in the place of infinite numbers, and the names of these in ``infinite``: *above*
    every number, or *below*.
    """
    words = {
        name: next(word for word, number in WORDS.items() if number == value)
        for name, value in row.items()
        if isinstance(value, float) and math.isinf(value)
    }
    return {name: None if name in words else value for name, value in row.items()} | {
        INFINITE: words
    }


def unfold_infinite(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row that `fold_infinite` was given."""
    plain = {name: value for name, value in row.items() if name != INFINITE}
    return plain | {name: WORDS[word] for name, word in row.get(INFINITE, {}).items()}
