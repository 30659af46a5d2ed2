"""What an experiment is to do: every choice that changes its numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from flickerscope.errors import SettingsError

__all__ = ["FORMAT", "MOST_SEEDS", "Part", "Plan"]

FORMAT: Final = 1
"""Of the records: raised where the same plan gives other numbers."""
MOST_SEEDS: Final = 1000

Part = str
"""What is done in one go for one seed: ``linear``, or a family of models to train."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every choice that changes a number."""

    seeds: int = 5
    """Repeats, each with clips, noise and initial weights of its own; 2 or more for an interval."""
    train_clips: int = 160
    """Of each class, from which the linear models are made."""
    test_clips: int = 32
    """Of each class, on which all models are read; 3 or more."""
    size: int = 32
    """Rows and columns of a clip, pixels."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("seeds", 1, MOST_SEEDS),
            ("train_clips", 2, 100_000),
            ("test_clips", 3, 10_000),
            ("size", 16, 64),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise SettingsError(f"{name}: a whole number from {least} to {most}, got {value}")

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is done for each seed."""
        return ("linear",)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
