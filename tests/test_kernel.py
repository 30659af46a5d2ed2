"""The loops that measure segments, against NumPy's transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flickerscope import histogram
from flickerscope.kernel import Kernel, Workers
from flickerscope.resources import pick_resources
from flickerscope.settings import Settings
from flickerscope.spectrum import make_transform

CELLS = 300
LARGEST = {torch.uint8: 255, torch.uint16: 1023, torch.float32: 255}


def powers_of(samples: np.ndarray, window: np.ndarray) -> np.ndarray:
    """One-sided power of every bin from 1 on and cell; the window does not see a constant."""
    means = window @ samples / window.sum()
    spectrum = np.fft.rfft(window[:, None] * (samples - means), axis=0)[1:]
    powers = 2 * np.abs(spectrum) ** 2 / (len(window) * (window**2).sum())
    powers[-1] /= 2  # there is one Nyquist frequency
    return powers


@pytest.mark.parametrize("frames", [8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("dtype", LARGEST)
@pytest.mark.parametrize(("window", "head"), [("hann", None), ("hann", 3), ("boxcar", 3)])
def test_loops_find_the_powers_that_numpy_finds(frames, dtype, window, head):
    rng = np.random.default_rng(frames)
    samples = rng.uniform(0, LARGEST[dtype], (frames, CELLS))
    samples[:, :10] = samples[0, :10]  # still cells
    segment = torch.from_numpy(samples).to(dtype)
    transform = make_transform(frames, Settings(window=window), None)
    with Workers.start(pick_resources("cpu", threads=1)) as workers:
        kernel = Kernel(transform, scale=0.5, dtype=torch.float32, workers=workers, keep_cells=True)
        pieces = [segment] if head is None else [segment[:head], segment[head:]]
        assert kernel.fast is not None and kernel.fast.takes(pieces)
        measured = kernel.measure(pieces)
    powers = powers_of(0.5 * segment.numpy().astype(np.float64), transform.window.numpy())
    cells = np.concatenate([transform.weights.numpy() @ powers, powers.sum(0, keepdims=True)])
    np.testing.assert_allclose(measured.power, powers.sum(1), rtol=1e-5)
    np.testing.assert_allclose(measured.cells, cells, rtol=1e-4, atol=1e-4 * cells.max())
    assert not measured.cells[:, :10].any()
    counts = histogram.count(torch.from_numpy(measured.cells[:-1]))
    assert torch.equal(torch.from_numpy(measured.counts), counts)
