"""Power and histograms of the cells of one segment, tile by tile, on any device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from flickerscope import histogram
from flickerscope.compiled.door import COMPILED, as_array, takes
from flickerscope.resources import Resources, plain_arithmetic, torch_to_ourselves
from flickerscope.spectrum import Transform

__all__ = ["CellPower", "Job", "Kernel", "Pending", "Workers"]

Result = TypeVar("Result")

CPU_TILE = 1 << 13  # cells: what a tile takes should fit the second-level cache
NO_LEAK = 1e-9
"""What rounding leaves of nothing."""
DEVICE_TILE = 1 << 19  # cells: large enough to be bound by memory, not by launches


@dataclass(frozen=True, slots=True)
class CellPower:
    """What a segment of one plane at one scale reads."""

    power: npt.NDArray[np.float64]
    """(bins,), summed over the cells, code^2."""
    counts: npt.NDArray[np.int64]
    """(bands, histogram.BINS)."""
    cells: npt.NDArray[np.float64] | None
    """(bands + 1, cells): band power of each cell and, last, its power at all frequencies, code^2,
    where it was asked for."""


class Workers:
    """A pool of threads that each run torch on one thread of their own.

    Small tiles on independent threads beat torch's own threads, which would have to meet after
    every operation on every tile.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.count = resources.threads if resources.device.type == "cpu" else 1
        self._pool = ThreadPoolExecutor(self.count, initializer=_one_torch_thread)

    @classmethod
    @contextmanager
    def start(cls, resources: Resources) -> Iterator[Workers]:
        """Workers for the length of a ``with`` block.

        Torch gets one thread here meanwhile: the decoder's threads are at work on the next frames.
        """
        workers = cls(resources)
        try:
            with torch_to_ourselves(), plain_arithmetic(resources.device):
                yield workers
        finally:
            workers._pool.shutdown(cancel_futures=True)

    def run(self, work: Sequence[Callable[[], object]]) -> list[Future[object]]:
        """Start all of it; a single worker does it at once, in this thread."""
        if self.count > 1:
            return [self._pool.submit(task) for task in work]
        for task in work:
            task()
        return []


class Job(Generic[Result]):
    """Something to compute in the background, and what to do with the result."""

    def __init__(
        self, workers: Workers, work: Callable[[], Result], then: Callable[[Result], None]
    ) -> None:
        self._work, self._then = work, then
        self._device = workers.resources.device
        self._done: list[Result] = []
        self._futures = workers.run([self._run])

    def _run(self) -> None:
        with plain_arithmetic(self._device):
            self._done.append(self._work())

    def finish(self) -> None:
        """Wait for it; its error is raised here."""
        for future in self._futures:
            future.result()
        self._then(self._done[0])


def _one_torch_thread() -> None:
    torch.set_num_threads(1)


class Kernel:
    """Measures segments of one length: power per bin, histograms and band power per cell."""

    def __init__(
        self,
        transform: Transform,
        *,
        scale: float,
        dtype: torch.dtype,
        workers: Workers,
        keep_cells: bool = False,
    ) -> None:
        """Prepare for a plane.

        Args:
            transform: of the segments.
            scale: code values a sample step.
            dtype: float32 or float64, to compute in.
            workers: where to compute.
            keep_cells: return the power of every cell too.
        """
        self.transform = transform
        self.scale = scale
        self.device, self.dtype = workers.resources.device, dtype
        self.workers = workers
        self.keep_cells = keep_cells
        self.bands = len(transform.bands) + keep_cells
        self.fast = _Fast.of(transform, scale) if dtype == torch.float32 else None
        self.tile = self._largest_tile()
        self._buffers = threading.local()

    @cached_property
    def matrix(self) -> torch.Tensor:
        """The transform's, of samples as they are, (rows, frames)."""
        return (self.transform.matrix * self.scale).to(self.device, self.dtype)

    @cached_property
    def row_weights(self) -> torch.Tensor:
        """Band powers from the squared rows, (bands, rows); with the cells' whole power if kept."""
        weights = self.transform.row_weights
        if self.keep_cells:
            weights = torch.cat([weights, torch.ones_like(weights[:1])])
        return weights.to(self.device, self.dtype)

    def measure(self, pieces: Sequence[torch.Tensor]) -> CellPower:
        """Measure a segment, (frames, cells) in one or more pieces along time."""
        return self.start(pieces).result()

    def start(self, pieces: Sequence[torch.Tensor]) -> Pending:
        """The same in the background; the pieces must not change until the result is there."""
        cells = pieces[0].shape[1]
        starts = range(0, cells, min(self.tile, cells))
        kept = torch.empty(
            self.bands, cells if self.keep_cells else 0, device=self.device, dtype=self.dtype
        )
        count = -(-len(starts) // self.workers.count)
        parts = [starts[i : i + count] for i in range(0, len(starts), count)]
        shares: list[_Share] | list[_FastShare]
        if self.fast is not None and self.fast.takes(pieces):
            shares = [_FastShare(self.fast, pieces, part, kept) for part in parts]
        else:
            shares = [_Share(self, pieces, part, kept) for part in parts]
        return Pending(
            futures=self.workers.run([share.run for share in shares]),
            shares=shares,
            kept=kept if self.keep_cells else None,
        )

    def _largest_tile(self) -> int:
        """Cells that are measured at once."""
        resources = self.workers.resources
        rows, frames = self.transform.matrix.shape
        largest = CPU_TILE if resources.device.type == "cpu" else DEVICE_TILE
        bytes_a_cell = (frames + rows + 3 * self.bands) * self.dtype.itemsize * self.workers.count
        return max(1, min(largest, resources.memory // 4 // bytes_a_cell))

    def _buffer(self, tile: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Samples (frames, tile), rows (rows, tile) and band powers (bands, tile), used again."""
        buffers: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None
        buffers = getattr(self._buffers, "tensors", None)
        if buffers is None or buffers[0].shape[1] != tile:
            sizes = self.transform.frames, len(self.matrix), len(self.row_weights)
            x, y, z = (
                torch.zeros(n, tile, device=self.matrix.device, dtype=self.matrix.dtype)
                for n in sizes
            )
            buffers = self._buffers.tensors = (x, y, z)
        return buffers


@dataclass(frozen=True, slots=True)
class Pending:
    """A segment that is being measured."""

    futures: list[Future[object]]
    shares: Sequence[_Share | _FastShare]
    kept: torch.Tensor | None

    def result(self) -> CellPower:
        """Wait for it; the first error is raised.

        Tiles are added in their order and in double precision on the host: the sum depends
        neither on the number of workers nor on what a device can add.
        """
        for future in self.futures:
            future.result()
        keys = reduce(torch.add, (share.keys for share in self.shares))
        sums = torch.cat([share.bins() for share in self.shares])
        return CellPower(
            power=sums.sum(0).numpy(),
            counts=histogram.fold(keys.cpu()).numpy(),
            cells=None if self.kept is None else self.kept.cpu().to(torch.float64).numpy(),
        )


class _Share:
    """A run of tiles that one worker measures."""

    def __init__(
        self, kernel: Kernel, pieces: Sequence[torch.Tensor], starts: range, kept: torch.Tensor
    ) -> None:
        self.kernel, self.pieces, self.starts, self.kept = kernel, pieces, starts, kept
        matrix = kernel.matrix
        self.sums = matrix.new_zeros(len(starts), len(matrix))
        bands = len(kernel.transform.bands)
        self.keys = torch.zeros(bands, histogram.KEYS, dtype=torch.int64, device=matrix.device)

    def bins(self) -> torch.Tensor:
        """Power of each tile, (tiles, bins), code^2, on the host."""
        return self.kernel.transform.bins(self.sums.cpu().to(torch.float64).T).T

    def run(self) -> None:
        """Measure the tiles into ``sums``, ``keys`` and ``kept``."""
        kernel, tile = self.kernel, self.starts.step
        samples, rows, bands = kernel._buffer(tile)
        with plain_arithmetic(kernel.matrix.device):
            for i, start in enumerate(self.starts):
                used = self._load(samples, start)
                torch.mm(kernel.matrix, samples, out=rows)
                torch.mm(kernel.row_weights, rows.square_(), out=bands)
                self.sums[i] = rows.sum(1)
                self.keys += histogram.count_keys(bands[: len(self.keys)])
                # A short last tile is filled up with still cells, which are taken off again.
                self.keys[:, 0] -= tile - used
                if self.kept.shape[1]:
                    self.kept[:, start : start + used] = bands[:, :used]

    def _load(self, samples: torch.Tensor, start: int) -> int:
        """Copy one tile into ``samples`` as differences to its middle frame; returns its cells.

        The transform does not see a constant; taking one off leaves still cells exactly 0 and
        the others more of their precision.
        """
        used = min(samples.shape[1], self.pieces[0].shape[1] - start)
        row = 0
        for piece in self.pieces:
            samples[row : row + len(piece), :used] = piece[:, start : start + used]
            row += len(piece)
        samples[:, used:] = 0
        samples -= samples[len(samples) // 2].clone()
        return used


@dataclass(frozen=True, slots=True)
class _Fast:
    """What the compiled loops want to know of a transform; see `measure_cells`."""

    window: npt.NDArray[np.float32]
    """Times the scale of the samples."""
    leak: npt.NDArray[np.float32]
    gains: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]

    def takes(self, pieces: Sequence[torch.Tensor]) -> bool:
        """Whether there are loops for a segment: in one piece or in two, as the buffer holds it."""
        frames = sum(len(piece) for piece in pieces)
        return takes(*pieces, kinds=COMPILED) and len(pieces) <= 2 and frames == len(self.window)

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, transform: Transform, scale: float) -> _Fast | None:
        """None where there are no loops for it: they take segments of 8, 16, 32, ... frames, and
        windows in which a constant adds to the first bin alone.

        ``scale``: code values a sample step.
        """
        frames = transform.frames
        if transform.window is None or frames & (frames - 1):
            return None
        window = transform.window.numpy()
        leak, *others = np.fft.rfft(window)[1:] / window.sum()
        if np.abs(others).max() > NO_LEAK:
            return None
        gains = np.full(frames // 2, 2 / (frames * (window**2).sum()))
        gains[-1] /= 2  # at the Nyquist frequency
        return cls(
            # Scaled before it is squared: float32 has no room for the squares of large samples.
            window=(scale * window).astype(np.float32),
            leak=np.array([leak.real, leak.imag], dtype=np.float32),
            gains=gains.astype(np.float32),
            weights=transform.weights.numpy().astype(np.float32),
        )


class _FastShare:
    """The same as `_Share`, in compiled loops."""

    def __init__(
        self, fast: _Fast, pieces: Sequence[torch.Tensor], starts: range, kept: torch.Tensor
    ) -> None:
        self.fast, self.starts, self.kept = fast, starts, kept
        # The buffer holds a segment in one piece or in two.
        self.head, self.tail = pieces if len(pieces) == 2 else (pieces[0], pieces[0][:0])
        bands, bins = fast.weights.shape
        self.sums = torch.zeros(len(starts), bins, dtype=torch.float64, device="cpu")
        self.keys = torch.zeros(bands, histogram.KEYS, dtype=torch.int64, device="cpu")

    def bins(self) -> torch.Tensor:
        """Power of each tile, (tiles, bins), code^2."""
        return self.sums

    def run(self) -> None:
        """Measure the tiles into ``sums``, ``keys`` and ``kept``."""
        from flickerscope.compiled.spectrum import measure_cells

        fast, cells = self.fast, self.head.shape[1]
        head, tail = as_array(self.head), as_array(self.tail)
        keys, kept = self.keys.numpy(), self.kept.numpy()
        for start, sums in zip(self.starts, self.sums.numpy(), strict=True):
            stop = min(start + self.starts.step, cells)
            measure_cells(
                head,
                tail,
                start,
                stop,
                fast.window,
                fast.leak,
                fast.gains,
                fast.weights,
                sums,
                keys,
                kept,
            )
