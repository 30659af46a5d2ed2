"""Adds up the segments of one length while a video runs."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flickerscope.kernel import CellPower, Kernel, Pending, Workers
from flickerscope.measurement import Reading, Rung, Spectrum, key
from flickerscope.planes import PlaneBuffers
from flickerscope.settings import ALL_CHANNELS, Settings
from flickerscope.spectrum import Band, Transform, make_transform
from flickerscope.units import Unit

__all__ = ["RungSum", "headline_band", "main_planes"]

TILE: Final = 4  # blocks
BLACK, CLIPPED = 6.0, 249.0  # code values beyond which a tile says nothing
FLOOR_PERCENTILE: Final = 10

Floats = npt.NDArray[np.float64]


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
        unit: Unit,
    ) -> None:
        """``planes``: in code values or, of a latent, in what stands for them in ``unit``."""
        self.transform = make_transform(frames, settings, rate, unit=unit)
        self.frames = frames
        self.planes = planes
        self.main = [buffers.plane.name for buffers in main_planes(planes, settings)]
        self.settings = settings
        self.scales = settings.scales
        self.kernels: dict[str, Kernel] = {}
        for buffers in planes:
            is_main = buffers.plane.name in self.main
            for scale in {*settings.scales, "block"} if is_main else settings.scales:
                self.kernels[key(buffers.plane.name, scale)] = Kernel(
                    self.transform,
                    scale=buffers.plane.scale if scale == "pixel" else 1.0,
                    dtype=buffers.dtype,
                    workers=workers,
                    keep_cells=is_main and scale == "block",
                )
        self.pending: list[tuple[str, int, Pending]] = []
        self.spectra: dict[str, Spectrum] = {}
        self.series: dict[str, list[Floats]] = {}
        self.cells: Floats | None = None
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
        square = self.transform.unit.square
        if measured.cells is not None:
            own = measured.cells * square
            self.cells = own if self.cells is None else self.cells + own
        one = Spectrum(samples=cells, power=measured.power * square, counts=measured.counts)
        self.spectra[name] = self.spectra[name] + one if name in self.spectra else one
        self.series.setdefault(name, []).append(self.transform.weights.numpy() @ one.mean_power)

    def rung(self) -> Rung:
        """What adds."""
        self.collect()
        return Rung(
            frames=self.frames,
            segments=len(self.starts),
            skipped_shots=self.skipped_shots,
            skipped_frames=self.skipped_frames,
            spectra=self._with_all({n: s for n, s in self.spectra.items() if self._is_wanted(n)}),
        )

    def _is_wanted(self, name: str) -> bool:
        return name.split("/")[1] in self.scales

    def _with_all(self, of_planes: dict[str, Any]) -> dict[str, Any]:
        """With the sums over the channels of a latent before the channels themselves."""
        if len(self.main) == 1:
            return of_planes
        together = {
            key(ALL_CHANNELS, scale): reduce(add, (of_planes[key(c, scale)] for c in self.main))
            for scale in self.scales
        }
        return together | of_planes

    def reading(self, brightness: Floats | None) -> Reading:
        """The clip's own values; ``brightness``: mean block grid, (rows, columns), of a picture."""
        if self.cells is None:
            raise RuntimeError("no segment was measured")
        band = headline_band(self.settings, self.transform)
        samples = len(self.starts) * len(self.main)
        power = (self.cells[band] / samples).reshape(self.planes[0].grid.shape)
        series = {n: np.stack(rows) for n, rows in self.series.items() if self._is_wanted(n)}
        if len(self.main) > 1:
            series = self._with_all({n: x / len(self.main) for n, x in series.items()}) | series
        return Reading(
            starts=self.starts,
            times=self.times,
            shots=self.shots,
            series=series,
            map=power,
            floor_db=self._floor_db(power, brightness, self.transform.bands[band].epsilon),
            still_power=float(np.median(self.cells[-1]) / samples),
        )

    def _floor_db(self, power: Floats, brightness: Floats | None, epsilon: float) -> float | None:
        """10th percentile of the tiles' log power, tiles that are black or clipped left out."""
        tiles = _tiles(power)
        if brightness is not None:
            light = _tiles(brightness)
            tiles = tiles[(light >= BLACK) & (light <= CLIPPED)]
        if not tiles.size:
            return None
        levels = np.maximum(tiles, self.transform.unit.least) + epsilon
        return float(np.percentile(10 * np.log10(levels), FLOOR_PERCENTILE))


def main_planes(planes: list[PlaneBuffers], settings: Settings) -> list[PlaneBuffers]:
    """What the headline is about: the luma, or all channels of a latent."""
    return planes if settings.latent else planes[:1]


def _tiles(grid: Floats) -> Floats:
    """Means over tiles of 4x4 blocks; what is left at the lower and right edge is not used."""
    high, wide = (min(TILE, size) for size in grid.shape)
    rows, columns = grid.shape[0] // high, grid.shape[1] // wide
    cut = grid[: rows * high, : columns * wide]
    return np.asarray(cut.reshape(rows, high, columns, wide).mean((1, 3)))
