"""The citable line of many clips, from those of each."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["shared_citation"]


def shared_citation(citations: Iterable[str]) -> str | None:
    """How clips of the same settings were measured; ``None`` without any.

    Their lines end with the frame rate, which may differ. Those whose motion was not measured say
    less: the line that says most is that of all.
    """
    lines = [line.rpartition(", ") for line in dict.fromkeys(citations)]
    if not lines:
        return None
    what = max((what for what, _, _ in lines), key=len)
    rates = dict.fromkeys(rate for _, _, rate in lines)
    rate = next(iter(rates)) if len(rates) == 1 else f"{len(rates)} frame rates"
    return f"{what}, {rate}" if what else rate
