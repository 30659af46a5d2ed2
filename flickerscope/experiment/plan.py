"""What an experiment is to do: every choice that changes its numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from flickerscope.errors import SettingsError

__all__ = ["FORMAT", "LINEAR", "LONG", "Plan"]

FORMAT: Final = 2
"""Of the records: raised where the same plan gives other numbers, or records hold other fields.

2: networks have a size of their own on a GPU; a record names the trainings that diverged.
"""
MOST_SEEDS: Final = 1000

LINEAR: Final = "linear"
TRAINED: Final = ("denoisers", "samplers", "autoencoders")
LONG: Final = "long"


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
    train: bool = False
    """Train networks of every family as well."""
    long: bool = False
    """Train denoisers for longer, and read them on the way."""
    steps: int = 300
    """Of training."""
    long_steps: tuple[int, ...] = (100, 300, 1000)
    """Of the longer training: the steps after which its denoisers are read."""
    rate: float = 8e-3
    """Of learning."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("seeds", 1, MOST_SEEDS),
            ("train_clips", 2, 100_000),
            ("test_clips", 3, 10_000),
            ("size", 16, 64),
            ("steps", 1, 10**7),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise SettingsError(f"{name}: a whole number from {least} to {most}, got {value}")
        if self.size % 4:
            raise SettingsError(f"size: a multiple of 4, got {self.size}")
        if not 0 < self.rate < 1:
            raise SettingsError(f"rate: a number between 0 and 1, got {self.rate}")
        if not self.long_steps or sorted(set(self.long_steps)) != list(self.long_steps):
            raise SettingsError(f"long_steps: growing numbers of steps, got {self.long_steps}")

    @property
    def parts(self) -> tuple[str, ...]:
        """What is done in one go for each seed: the linear models, or a family to train."""
        return (LINEAR, *(TRAINED if self.train else ()), *((LONG,) if self.long else ()))

    def choices(self, part: str) -> dict[str, Any]:
        """What changes the numbers of one part, for one seed."""
        names = ["train_clips", "test_clips", "size"]
        if part != LINEAR:
            names += ["long_steps" if part == LONG else "steps", "rate"]
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
