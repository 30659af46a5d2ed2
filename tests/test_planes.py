"""How a picture looks, and what block grids are on the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flickerscope.inputs.source import Plane
from flickerscope.planes import AT_ONCE, BlockSums, Look, small_picture

KINDS = [torch.uint8, torch.uint16, torch.float32, torch.float64]
"""All but the last are summed in compiled loops, on a CPU."""


def look_at(samples: torch.Tensor, scale: float = 1.0, offset: float = 0.0) -> Look:
    height, width = samples.shape
    plane = Plane(
        name="y", height=height, width=width, dtype=samples.dtype, scale=scale, offset=offset
    )
    look = Look(samples, plane)
    look.measure()
    return look


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "every"), [((37, 51), 1), ((1, 9), 1), ((800, 7), 3)])
def test_compiled_loops_and_torch_see_the_picture_that_numpy_sees(size, every, kind):
    """Of a large picture, every third pair of rows."""
    samples = np.random.default_rng(0).integers(0, 256, size)
    look = look_at(torch.from_numpy(samples).to(kind), 255 / 219, -16 * 255 / 219)
    codes = (samples - 16) * 255 / 219
    groups = codes[None]
    if every > 1:
        groups = np.stack([codes[y : y + 2] for y in range(0, size[0] - every + 1, every)])
    steps = [np.square(np.diff(groups, axis=axis)) for axis in (1, 2)]
    assert look.mean == pytest.approx(groups.mean(), rel=1e-6)
    assert look.variance == pytest.approx(groups.var(), rel=1e-6)
    assert look.gradient == pytest.approx(sum(x.mean() for x in steps if x.size), rel=1e-6)
    assert look.clipped == np.mean((groups <= 0.5) | (groups >= 254.5))


@pytest.mark.parametrize("kind", KINDS)
def test_a_flat_picture_has_no_contrast(kind):
    look = look_at(torch.full((64, 80), 201).to(kind))
    assert (look.mean, look.variance, look.gradient, look.clipped) == (201, 0, 0, 0)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_large_samples_have_room(kind):
    samples = torch.tensor([[-1e37, 1e37], [1e37, -1e37]], dtype=kind)
    assert look_at(samples, 1e-37).gradient == pytest.approx(8, rel=1e-6)


@pytest.mark.parametrize("shape", [(16, 24), (3, 8, 16)])
@pytest.mark.parametrize("frames", [1, AT_ONCE, 2 * AT_ONCE + 5])
def test_block_grids_are_summed_up_some_at_a_time(frames, shape):
    grids = np.random.default_rng(1).uniform(0, 255, (frames, *shape)).astype(np.float32)
    sums = BlockSums()
    changes = [sums.add(torch.from_numpy(grid)) for grid in grids]
    x = grids.astype(np.float64)
    steps = np.abs(np.diff(x, axis=0)).mean(tuple(range(1, x.ndim)))
    assert changes == pytest.approx([0, *steps])
    np.testing.assert_allclose(sums.mean(), x.mean(0), rtol=1e-6)
    cells = x.reshape(frames, -1, 8, shape[-2] // 8, 8, shape[-1] // 8).mean((3, 5))
    np.testing.assert_allclose(sums.pictures(), cells.reshape(frames, -1), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_picture_holds_the_means_of_its_parts_in_code_values(kind):
    samples = np.random.default_rng(2).integers(0, 120, (288, 80))
    plane = Plane(name="y", height=288, width=80, dtype=kind, scale=2.0, offset=-16.0)
    codes = 2 * samples.reshape(144, 2, 40, 2).mean((1, 3)) - 16
    small = small_picture(torch.from_numpy(samples).to(kind), plane)
    np.testing.assert_array_equal(small, codes.round().clip(0, 255))
