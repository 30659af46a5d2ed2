"""JSON that every program can read: no NaN, no infinity."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["to_json"]


def to_json(document: dict[str, Any]) -> str:
    """Strict JSON; raises `ValueError` for NaN and infinity."""
    return json.dumps(document, allow_nan=False, indent=1, ensure_ascii=False) + "\n"
