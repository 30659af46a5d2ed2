"""Small pictures of every frame of a video, kept for readings that need two videos in step."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from typing import IO, Final

import torch

from flickerscope.errors import OutputError

__all__ = ["Track", "Tracks"]

IN_MEMORY: Final = 16 << 20  # bytes; longer tracks go to a temporary file


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


@dataclass(frozen=True, slots=True)
class Tracks:
    """All that is kept of a video, and where its shots are."""

    blocks: Track
    """Block grids of the luma, code values; or (channels, rows, columns) of a latent."""
    pictures: Track | None
    """Luma in the pictures that motion is measured on, code values; ``None``: motion is not."""
    shots: list[tuple[int, int]]
    """First frame and the one after the last, of each shot."""

    @property
    def frames(self) -> int:
        """How many."""
        return self.blocks.frames

    def close(self) -> None:
        """Give temporary files back."""
        self.blocks.close()
        if self.pictures is not None:
            self.pictures.close()
