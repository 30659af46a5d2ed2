"""What was measured of a clip or a pair as bytes in a tensor, which any backend can gather."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flickerscope.errors import SettingsError
from flickerscope.measurement import Measurement

__all__ = ["Record", "light", "pack", "unpack"]

Record = dict[str, Any]
"""``kind``, and what belongs to it; ``asked``: how the metric was set up."""

_LENGTH: Final = 8
"""Bytes before a record that say how long it is: records that were joined come apart again."""


def pack(record: Record, device: torch.device) -> Tensor:
    """A record as uint8, (bytes,)."""
    body = zlib.compress(json.dumps(record, allow_nan=False).encode())
    data = len(body).to_bytes(_LENGTH, "little") + body
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).to(device)


def unpack(state: Tensor | Iterable[Tensor]) -> list[Record]:
    """The records of a state, one by one or joined; raises `SettingsError` for mixed metrics."""
    tensors = [state] if isinstance(state, Tensor) else list(state)
    records = [record for tensor in tensors for record in _parts(tensor)]
    if any(record["asked"] != records[0]["asked"] for record in records):
        raise SettingsError("only metrics that were set up alike can be merged")
    return records


def _parts(joined: Tensor) -> Iterator[Record]:
    data = joined.to("cpu", torch.uint8).numpy().tobytes()
    start = 0
    while start < len(data):
        body = start + _LENGTH
        start = body + int.from_bytes(data[start:body], "little")
        yield json.loads(zlib.decompress(data[body:start]))


def light(measurement: Measurement) -> Measurement:
    """With maps of two significant digits and no pictures: what the figures of many clips need."""
    clips = tuple(
        replace(
            clip,
            picture=None,
            readings={n: replace(r, map=_two_digits(r.map)) for n, r in clip.readings.items()},
        )
        for clip in measurement.clips
    )
    return replace(measurement, clips=clips)


def _two_digits(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    step = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-6))) - 1)
    return np.asarray(np.round(values / step) * step)
