"""Area averages of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from flickerscope.grid import AreaGrid, grid_shape

SIZES = [((48, 80), (16, 20)), ((37, 51), (16, 24)), ((30, 40), (30, 40)), ((65, 9), (64, 9))]
KINDS = {
    torch.uint8: torch.float32,
    torch.uint16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}
"""Kinds of samples, and of their averages."""


def areas(picture, shape):
    """Means over equal cells: every pixel cut into as many parts as there are cells."""
    parts = np.repeat(np.repeat(picture, shape[0], 0), shape[1], 1)
    height, width = picture.shape
    return parts.reshape(shape[0], height, shape[1], width).mean((1, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "shape"), SIZES)
def test_cells_hold_the_mean_of_their_area(size, shape, kind):
    codes = np.random.default_rng(0).integers(0, 256, (3, *size))
    samples = torch.from_numpy(codes).to(kind)
    for scale, offset in ((1.0, 0.0), (255 / 219, 7.5)):
        grid = AreaGrid(
            *size,
            shape,
            dtype=KINDS[kind],
            device=torch.device("cpu"),
            scale=scale,
            offset=offset,
        )
        means = grid.average(samples)
        assert means.dtype == KINDS[kind]
        for picture, mean in zip(codes, means, strict=True):
            assert_allclose(mean, scale * areas(picture, shape) + offset, rtol=2e-6)


def test_equal_pictures_have_equal_means_and_part_of_a_picture_can_be_averaged():
    pictures = torch.randint(0, 256, (5, 40, 64), dtype=torch.uint8)
    grid = AreaGrid(20, 30, (16, 24), dtype=torch.float32, device=torch.device("cpu"))
    part = pictures[:, 3:23, 7:37]
    together = grid.average(part)
    for picture, mean in zip(part, together, strict=True):
        assert torch.equal(grid.average(picture), mean)


def test_blocks_are_square_as_the_picture_is_shown():
    assert grid_shape(480, 640) == (64, 85)
    assert grid_shape(480, 640, aspect=1.5) == (64, 128)
    assert grid_shape(10, 12) == (10, 12)
