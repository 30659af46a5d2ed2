"""How long a video is by what its container says, without reading its packets."""

from __future__ import annotations

from fractions import Fraction

from flickerscope.inputs.probe import check_file
from flickerscope.inputs.source import FileOptions
from flickerscope.video.promise import promise_of_mp4, promised_end
from flickerscope.video.stream import fraction, opened

__all__ = ["promised_length"]


def promised_length(
    path: str, options: FileOptions | None = None
) -> tuple[int | None, Fraction | None]:
    """Frames and frames a second; ``None`` where the container does not say. Quick, and may err.

    Raises `InputError`.
    """
    check_file(path)
    with opened(path, options or FileOptions(), header=True) as (container, stream):
        rate = fraction(stream.average_rate)
        frames = stream.frames
        if "mp4" in container.format.name:
            frames = promise_of_mp4(path, stream).frames or 0
        if frames:
            return frames, rate
        if container.format.name == "nut":  # it counts the time that pictures wait for others
            return None, rate
        seconds = promised_end(container, stream)
        if seconds is None and stream.duration and stream.time_base:
            seconds = stream.duration * Fraction(stream.time_base)
        return (None if rate is None or seconds is None else round(seconds * rate)), rate
