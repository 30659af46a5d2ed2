"""Small pictures of every frame of a video, kept for readings that need two videos in step."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

import torch

from flickerscope.errors import OutputError

__all__ = ["KeptMotion", "Track", "Tracks"]

IN_MEMORY: Final = 16 << 20  # bytes; longer tracks go to a temporary file
KEPT: Final = 16 << 20  # bytes of motion, some hundred frames; of others it is found again


class Track:
    """One small picture a frame, float32, in memory or in a temporary file."""

    def __init__(self, shape: tuple[int, ...], path: str) -> None:
        """``shape``: of a picture; ``path``: the video's, for messages."""
        self.shape = shape
        self.frames = 0
        self._path = path
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115

    def append(self, picture: torch.Tensor) -> None:
        """Keep the next frame's.

        Raises:
            OutputError: the disk is full.
        """
        try:
            self._file.write(picture.to("cpu", torch.float32).numpy().tobytes())
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: no room for the small pictures of {self._path} "
                f"({error.strerror}); free some, or switch paired readings off"
            ) from error
        self.frames += 1

    def read(self, start: int, frames: int) -> torch.Tensor:
        """Frames ``start`` to ``start + frames``, (frames, rows, columns) or as the shape says."""
        size = 4 * math.prod(self.shape)
        self._file.seek(size * start)
        raw = bytearray(self._file.read(size * frames))
        return torch.frombuffer(raw, dtype=torch.float32).view(frames, *self.shape)

    def close(self) -> None:
        """Give the temporary file back."""
        self._file.close()


class KeptMotion:
    """Motion of frames to their neighbours, by the numbers of all three."""

    def __init__(self) -> None:
        self._motions: dict[tuple[int, ...], tuple[torch.Tensor, torch.Tensor]] = {}
        self._room = KEPT

    def add(self, frames: Sequence[int], forward: torch.Tensor, backward: torch.Tensor) -> None:
        """Keep the motion in a run, while there is room.

        Args:
            frames: numbers of the run's T frames.
            forward, backward: see `flickerscope.motion.neighbour_motion`, (T - 2, 2, H, W) each.
        """
        if self._room > 0:
            self._motions |= zip(_triples(frames), zip(forward, backward, strict=True), strict=True)
            self._room -= forward.nbytes + backward.nbytes

    def of(self, frames: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor] | None:
        """As it was given to `add`, for another run; ``None`` where some of it is not known."""
        found = [self._motions.get(triple) for triple in _triples(frames)]
        known = [motion for motion in found if motion is not None]
        if len(known) < len(found):
            return None
        forward, backward = zip(*known, strict=True)
        return torch.stack(forward), torch.stack(backward)

    def close(self) -> None:
        """Forget all of it."""
        self._motions.clear()


def _triples(frames: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return zip(frames[:-2], frames[1:-1], frames[2:], strict=True)


@dataclass(frozen=True, slots=True)
class Tracks:
    """All that is kept of a video, and where its shots are."""

    blocks: Track
    """Block grids of the luma, code values; or (channels, rows, columns) of a latent."""
    pictures: Track | None
    """Luma in the pictures that motion is measured on, code values; ``None``: motion is not."""
    shots: list[tuple[int, int]]
    """First frame and the one after the last, of each shot."""
    motion: KeptMotion = field(default_factory=KeptMotion)
    """In these pictures, of as many frames as there is room for."""

    @property
    def frames(self) -> int:
        """How many."""
        return self.blocks.frames

    def close(self) -> None:
        """Give temporary files back."""
        self.blocks.close()
        self.motion.close()
        if self.pictures is not None:
            self.pictures.close()
