"""Compares a prediction with its reference."""

from __future__ import annotations

from flickerscope.comparison.run import (
    Comparison,
    Progress,
    Verdict,
    analyze,
    compare,
    compare_sides,
)

__all__ = ["Comparison", "Progress", "Verdict", "analyze", "compare", "compare_sides"]
