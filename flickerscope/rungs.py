"""Adds up the segments of one length while a video runs."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from flickerscope.kernel import CellPower, Kernel, Pending, Workers
from flickerscope.measurement import Reading, Rung, Spectrum, key
from flickerscope.planes import PlaneBuffers
from flickerscope.settings import Settings
from flickerscope.spectrum import Band, Transform, make_transform

__all__ = ["RungSum", "headline_band"]

TILE: Final = 4  # blocks
BLACK, CLIPPED = 6.0, 249.0  # code values beyond which a tile says nothing
FLOOR_PERCENTILE: Final = 10


def headline_band(settings: Settings, *transforms: Transform) -> int:
    """Index of the band that the headline is about, for one video or several to compare.

    The primary band, where it is reliable at this segment length or the user asked for it; else
    the highest band that is; else the highest that holds anything.
    """
    bands = list(zip(*(transform.bands for transform in transforms), strict=True))
    order = sorted(range(len(bands)), key=lambda i: bands[i][0].low, reverse=True)
    filled = [i for i in order if not any(band.empty for band in bands[i])]
    reliable = [i for i in filled if all(band.reliable for band in bands[i])]
    wanted = filled if settings.primary is not None else reliable
    primary = [i for i in wanted if bands[i][0].name == settings.primary_band]
    return (primary or reliable or filled or order)[0]


class RungSum:
    """What one segment length adds up to while the video runs."""

    def __init__(
        self,
        frames: int,
        settings: Settings,
        rate: Fraction | None,
        planes: list[PlaneBuffers],
        workers: Workers,
    ) -> None:
        self.transform = make_transform(frames, settings, rate)
        self.frames = frames
        self.planes = planes
        self.settings = settings
        self.scales = settings.scales
        self.kernels: dict[str, Kernel] = {}
        for buffers in planes:
            for scale in {*settings.scales, "block"} if buffers is planes[0] else settings.scales:
                self.kernels[key(buffers.plane.name, scale)] = Kernel(
                    self.transform,
                    scale=buffers.plane.scale if scale == "pixel" else 1.0,
                    dtype=buffers.dtype,
                    workers=workers,
                    keep_cells=(buffers.plane.name, scale) == ("y", "block"),
                )
        self.pending: list[tuple[str, int, Pending]] = []
        self.spectra: dict[str, Spectrum] = {}
        self.series: dict[str, list[npt.NDArray[np.float64]]] = {}
        self.cells: npt.NDArray[np.float64] | None = None
        self.starts: list[int] = []
        self.times: list[float] = []
        self.shots: list[int] = []
        self.skipped_shots = 0
        self.skipped_frames = 0

    def add(self, start: int, time: float, shot: int) -> None:
        """Measure the segment that starts at frame ``start``."""
        self.collect()
        self.starts.append(start)
        self.times.append(time)
        self.shots.append(shot)
        for buffers in self.planes:
            for scale in ("pixel", "block", "global"):
                name = key(buffers.plane.name, scale)
                if name in self.kernels:
                    pieces = buffers.buffers[scale].pieces(start, self.frames)
                    pending = self.kernels[name].start(pieces)
                    self.pending.append((name, pieces[0].shape[1], pending))

    @property
    def headline(self) -> Band:
        """The band that the headline of this video alone is about."""
        return self.transform.bands[headline_band(self.settings, self.transform)]

    def keep_clear(self, frame: int) -> None:
        """Wait until the segment that is being measured no longer needs this frame."""
        if self.pending and self.starts[-1] <= frame:
            self.collect()

    def collect(self) -> None:
        """Wait for the segment that is being measured, and add it."""
        pending, self.pending = self.pending, []
        for name, cells, segment in pending:
            self._add(name, cells, segment.result())

    def _add(self, name: str, cells: int, measured: CellPower) -> None:
        if measured.cells is not None:
            self.cells = measured.cells if self.cells is None else self.cells + measured.cells
        one = _spectrum(measured, cells)
        self.spectra[name] = self.spectra[name] + one if name in self.spectra else one
        weights = self.transform.weights.numpy()
        self.series.setdefault(name, []).append(weights @ measured.power / cells)

    def rung(self) -> Rung:
        """What adds."""
        self.collect()
        return Rung(
            frames=self.frames,
            segments=len(self.starts),
            skipped_shots=self.skipped_shots,
            skipped_frames=self.skipped_frames,
            spectra={name: s for name, s in self.spectra.items() if self._is_wanted(name)},
        )

    def _is_wanted(self, name: str) -> bool:
        return name.split("/")[1] in self.scales

    def reading(self, brightness: npt.NDArray[np.float64]) -> Reading:
        """The clip's own values; ``brightness``: mean block grid, (rows, columns)."""
        if self.cells is None:
            raise RuntimeError("no segment was measured")
        band = headline_band(self.settings, self.transform)
        power = (self.cells[band] / len(self.starts)).reshape(brightness.shape)
        return Reading(
            starts=self.starts,
            times=self.times,
            shots=self.shots,
            series={
                name: np.stack(rows) for name, rows in self.series.items() if self._is_wanted(name)
            },
            map=power,
            floor_db=_floor_db(power, brightness, self.transform.bands[band].epsilon),
            still_power=float(np.median(self.cells[-1]) / len(self.starts)),
        )


def _spectrum(measured: CellPower, cells: int) -> Spectrum:
    return Spectrum(samples=cells, power=measured.power, counts=measured.counts)


def _floor_db(
    power: npt.NDArray[np.float64], brightness: npt.NDArray[np.float64], epsilon: float
) -> float | None:
    """10th percentile of the tiles' log power, tiles that are black or clipped left out."""
    tiles, light = _tiles(power), _tiles(brightness)
    seen = tiles[(light >= BLACK) & (light <= CLIPPED)]
    if not seen.size:
        return None
    return float(np.percentile(10 * np.log10(seen + epsilon), FLOOR_PERCENTILE))


def _tiles(grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means over tiles of 4x4 blocks; what is left at the lower and right edge is not used."""
    high, wide = (min(TILE, size) for size in grid.shape)
    rows, columns = grid.shape[0] // high, grid.shape[1] // wide
    cut = grid[: rows * high, : columns * wide]
    return np.asarray(cut.reshape(rows, high, columns, wide).mean((1, 3)))
