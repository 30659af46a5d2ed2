"""How loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from numba import njit

__all__ = ["compiled", "part"]

Loop = TypeVar("Loop", bound=Callable[..., Any])

# What is kept on disk is renewed when the file of a loop changes, not when these do.
OPTIONS: Final[dict[str, Any]] = {
    "nogil": True,
    "error_model": "numpy",
    # Products and sums are not rounded together: which ones would be depends on the processor,
    # and on whether a loop comes from the disk, and numbers must depend on neither.
    "fastmath": False,
}


def compiled(*signatures: str) -> Callable[[Loop], Loop]:
    """Compile for these kinds of arguments, at once, and keep it on disk if there is a place.

    At once, since the threads that call it would wait for each other; for few kinds, since each
    takes seconds.
    """

    def compile_it(function: Loop) -> Loop:
        try:
            return cast(Loop, njit(list(signatures), cache=True, **OPTIONS)(function))
        except RuntimeError:  # neither the package's folder nor the user's can be written
            return cast(Loop, njit(list(signatures), **OPTIONS)(function))

    return compile_it


def part(function: Loop) -> Loop:
    """Compile into what calls it."""
    return cast(Loop, njit(**OPTIONS)(function))
