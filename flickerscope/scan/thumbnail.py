"""A small picture of a clip in its record, for the figure of the clips that flicker most."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from flickerscope.measurement import Measurement

__all__ = ["open_thumbnail", "thumbnail_content"]

ROWS: Final = 72
"""At most."""
SHADES: Final = 64
"""Of grey: as many as can be told apart in print, and a third less to store."""


def thumbnail_content(clip: Measurement) -> dict[str, Any] | None:
    """The luma of a frame of its first video as plain values; ``None`` where there is no picture.

    ``cover``: the share of its height and width that the tiles of the map of flicker take.
    """
    from flickerscope.report.cover import map_cover

    video = clip.clips[0]
    if video.picture is None:
        return None
    picture = _shrunk(video.picture)
    data = zlib.compress((picture // (256 // SHADES)).tobytes(), 9)
    cover = None if video.motion is None else map_cover(video, clip.settings)
    return {
        "rows": picture.shape[0],
        "columns": picture.shape[1],
        "shades": SHADES,
        "cover": cover,
        "data": base64.b64encode(data).decode("ascii"),
    }


def open_thumbnail(content: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    """Code values, (rows, columns)."""
    data = zlib.decompress(base64.b64decode(content["data"]))
    steps = np.frombuffer(data, np.uint8).reshape(content["rows"], content["columns"])
    return np.asarray(steps.astype(float) * (255 / (content["shades"] - 1)), np.uint8)


def _shrunk(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Means of whole blocks of pixels, such that there are no more than `ROWS`."""
    every = -(-picture.shape[0] // ROWS)
    if every == 1:
        return picture
    rows, columns = (size // every for size in picture.shape)
    blocks = picture[: rows * every, : columns * every].reshape(rows, every, columns, every)
    return np.asarray(blocks.mean((1, 3)), np.uint8)
