"""The motion between small pictures, and the filters that it is built from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from moving import MEAN, shifted
from numpy.testing import assert_allclose
from scipy import ndimage

from flickerscope.motion import (
    LucasKanade,
    flicker,
    neighbour_motion,
    small_pictures,
    smooth_acceleration,
    tile_moments,
    warp,
)
from flickerscope.motion.filters import (
    blur,
    halve,
    median_of_neighbours,
    running_sum,
    window_mean,
)
from flickerscope.motion.flow import whole_shift
from flickerscope.motion.pictures import picture_scale, picture_shape, shrink

RNG = np.random.default_rng(0)


def noise(*shape):
    return torch.from_numpy(RNG.normal(MEAN, 40, shape))


def planewise(function, x):
    """Apply a scipy filter to the last two dimensions of a tensor."""
    planes = x.numpy().reshape(-1, *x.shape[-2:])
    return np.stack([function(plane) for plane in planes]).reshape(x.shape)


# Filters


PRECISIONS = {torch.float64: 1e-12, torch.float32: 1e-6}
"""The two ways to compute: in torch, and in compiled loops."""


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("size", [(17, 26), (5, 4), (1, 9)])
def test_window_means_are_those_of_scipy(size, radius, dtype):
    x = noise(2, 3, *size)
    expected = planewise(
        lambda plane: ndimage.uniform_filter(plane, 2 * radius + 1, mode="nearest"), x
    )
    assert_allclose(window_mean(x.to(dtype), radius), expected, rtol=PRECISIONS[dtype])


@pytest.mark.parametrize("dim", [0, -2, -1])
@pytest.mark.parametrize("taps", [1, 2, 3, 5, 7, 8, 9, 13])
def test_running_sums_are_sums_of_neighbours(taps, dim):
    x = noise(14, 15, 16)
    expected = np.lib.stride_tricks.sliding_window_view(x.numpy(), taps, axis=dim).sum(-1)
    assert_allclose(running_sum(x.clone(), taps, dim), expected, rtol=1e-12)


def test_running_sums_leave_their_input_alone():
    x = noise(40)
    kept = x.clone()
    for taps in range(1, 10):
        running_sum(x, taps, 0)
    assert torch.equal(x, kept)


def test_running_sums_of_a_long_series_do_not_cancel():
    # A difference of cumulative sums would be off by 1e-7 of the sum of all, 4e4 times too much.
    x = 1e4 + torch.from_numpy(RNG.standard_normal(40_000))
    expected = np.lib.stride_tricks.sliding_window_view(x.float().double().numpy(), 9).sum(-1)
    assert_allclose(running_sum(x.float(), 9, 0).double(), expected, rtol=3e-7)


@pytest.mark.parametrize("size", [(17, 26), (4, 3), (1, 9)])
@pytest.mark.parametrize(("sigma", "radius"), [(1.5, 5), (2.0, 6), (0.3, 1)])
def test_a_blur_is_the_gaussian_of_scipy_cut_off_at_three_sigma(size, sigma, radius):
    x = noise(2, 3, *size)
    expected = planewise(
        lambda plane: ndimage.gaussian_filter(plane, sigma, mode="mirror", radius=radius), x
    )
    assert_allclose(blur(x, sigma), expected, rtol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 9), (5, 4)])
def test_halving_takes_means_of_what_there_is_of_two_by_two_pixels(height, width):
    x = noise(2, 1, height, width)
    small = halve(x)
    assert small.shape == (2, 1, -(-height // 2), -(-width // 2))
    for i, j in np.ndindex(small.shape[-2:]):
        block = x[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((-2, -1))
        torch.testing.assert_close(small[..., i, j], block)


def test_medians_are_those_of_scipy_along_rows_and_then_along_columns():
    x = noise(2, 2, 9, 13)

    def medians(plane):
        across = ndimage.median_filter(plane, (1, 3), mode="nearest")
        return ndimage.median_filter(across, (3, 1), mode="nearest")

    assert np.array_equal(median_of_neighbours(x).numpy(), planewise(medians, x))


def random_flow(height, width, reach):
    return torch.from_numpy(RNG.uniform(-reach, reach, (2, 2, height, width)))


def places(flow):
    """Rows and columns that a flow points to, (2, H, W)."""
    height, width = flow.shape[-2:]
    return np.mgrid[:height, :width] + flow.numpy()[::-1]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("reach", [0.5, 4.0, 40.0])
def test_a_bilinear_warp_samples_like_scipy(reach, dtype):
    x, flow = noise(2, 2, 12, 17), random_flow(12, 17, reach)
    warped = warp(x.to(dtype), flow.to(dtype))
    for n, c in np.ndindex(2, 2):
        at, plane = places(flow[n]), x[n, c].numpy()
        expected = ndimage.map_coordinates(plane, at, order=1, mode="nearest")
        # Values of up to 300 between which a place is rounded to 1e-6 of a pixel.
        assert_allclose(warped[n, c], expected, atol=1e3 * PRECISIONS[dtype])


def cubic(distance, a=-0.75):
    """The kernel of cubic convolution (Keys 1981)."""
    d = np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


@pytest.mark.parametrize("reach", [0.5, 4.0])
def test_a_bicubic_warp_is_a_cubic_convolution(reach):
    x, flow = noise(2, 1, 9, 11), random_flow(9, 11, reach)
    warped = warp(x, flow, "bicubic")
    for n in range(2):
        rows, columns = places(flow[n])
        expected = np.zeros((9, 11))
        for i in range(-1, 3):
            for j in range(-1, 3):
                y, z = np.floor(rows) + i, np.floor(columns) + j
                taps = x[n, 0].numpy()[y.clip(0, 8).astype(int), z.clip(0, 10).astype(int)]
                expected += cubic(rows - y) * cubic(columns - z) * taps
        assert_allclose(warped[n, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_warp_by_nothing_changes_nothing(mode):
    x = noise(1, 1, 12, 17)
    torch.testing.assert_close(warp(x, torch.zeros(1, 2, 12, 17).double(), mode), x)


# Small pictures


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((288, 416), (72, 104)),
        ((720, 1280), (72, 128)),
        ((480, 854), (72, 128)),
        ((1280, 720), (128, 72)),
        ((100, 150), (72, 108)),
        ((72, 99), (72, 99)),
        ((60, 80), (60, 80)),
        ((80, 60), (80, 60)),
    ],
)
def test_the_short_side_becomes_72_and_small_pictures_stay(size, small):
    assert picture_shape(*size) == small
    assert small_pictures(torch.zeros(1, *size)).shape == (1, *small)


@pytest.mark.parametrize(
    ("short", "rows", "scale"),
    [(288, 72, 1), (288, 144, 2), (288, 288, 4), (287, 288, 2), (143, 144, 1), (60, 288, 1)],
)
def test_a_picture_gives_as_many_rows_as_it_has(short, rows, scale):
    assert picture_scale(short, 2 * short, rows) == scale
    assert picture_scale(2 * short, short, rows) == scale


@pytest.mark.parametrize("rows", [72, 144])
def test_a_whole_ratio_takes_means_of_blocks(rows):
    x = noise(2, 288, 416)
    every = 288 // rows
    blocks = x.view(2, rows, every, -1, every).mean((2, 4))
    torch.testing.assert_close(small_pictures(x, rows), blocks)
    torch.testing.assert_close(shrink(x, every), blocks)


def area_average(x, cells, axis):
    """Each sample repeated ``cells`` times, then means of as many as there were samples."""
    x = np.moveaxis(x, axis, 0)
    groups = np.repeat(x, cells, axis=0).reshape(cells, len(x), *x.shape[1:])
    return np.moveaxis(groups.mean(1), 0, axis)


@pytest.mark.parametrize(
    ("size", "rows"), [((100, 150), 72), ((150, 100), 72), ((90, 127), 72), ((150, 181), 144)]
)
def test_a_broken_ratio_shares_the_pixels_out_by_area(size, rows):
    x = noise(2, *size)
    small = small_pictures(x, rows).numpy()
    expected = area_average(area_average(x.numpy(), small.shape[1], 1), small.shape[2], 2)
    assert_allclose(small, expected, rtol=1e-12)
    assert small.mean() == pytest.approx(float(x.mean()), rel=1e-12)


# Lucas-Kanade


def moved(shift, *, size=(72, 104), seed=1):
    """Two small pictures of a texture that moves by ``shift``, columns and rows, float32."""
    columns, rows = -4 * np.array([[0, 0], shift]).T
    small = small_pictures(torch.from_numpy(shifted(columns, rows, seed=seed)))
    return small[:, : size[0], : size[1]]


def motion(anchor, neighbour, field=None):
    """(H, W) each to (2, H, W)."""
    return (field or LucasKanade())(anchor[None], neighbour[None, None])[0, 0]


def interior(x, border):
    return x[..., border:-border, border:-border]


def error_of(flow, shift, border=8):
    """Length of the error where the neighbour shows what it should find, pixels."""
    wanted = torch.tensor(shift, dtype=flow.dtype)[:, None, None]
    return interior((flow - wanted).norm(dim=0), border + math.ceil(max(map(abs, shift))))


def half_of_what_counts_as_followed(anchor):
    """Error of the motion that leaves a quarter of 4 code^2 in the blurred picture, pixels.

    An error e leaves ``e^2 <|gradient|^2> / 2``, in the mean over its directions.
    """
    smooth = ndimage.gaussian_filter(anchor.double().numpy(), 1.5)
    return float(np.sqrt(2 / np.mean(np.square(np.gradient(smooth)).sum(0))))


@pytest.mark.parametrize(
    "shift",
    [(0.2, 0), (0, 0.5), (0.5, -0.5), (-1, 0), (1.5, 1), (-2.5, 1.5), (4, 0), (0, -5), (6, 0)],
)
def test_a_translation_is_found_well_within_what_counts_as_followed(shift):
    anchor, neighbour = moved(shift)
    error = error_of(motion(anchor, neighbour), shift)
    limit = half_of_what_counts_as_followed(anchor)
    assert error.median() < limit / 2
    assert error.quantile(0.9) < limit


PERIOD = 7
"""Pixels: a window of radius 3 holds one whole period, and its means are exact."""


def chequer(shift=(0.0, 0.0), amplitude=40.0, size=(28, 35)):
    """Sum of a cosine along columns and one along rows, float64."""
    y, x = np.mgrid[: size[0], : size[1]] - np.array(shift)[::-1, None, None]
    k = 2 * np.pi / PERIOD
    return torch.from_numpy(MEAN + amplitude * (np.cos(k * x) + np.cos(k * y)))


@pytest.mark.parametrize("damping", [0.0, 2.0, 200.0])
@pytest.mark.parametrize("shift", [(0.3, 0.0), (0.8, -0.4)])
def test_one_step_is_the_least_squares_of_the_covariances(shift, damping):
    # With f = A cos(kx) and its gradient g = -A sin(k) sin(kx), by central differences, a shift
    # of s gives cov(g, d) = -A^2 sin(k) sin(ks) / 2 and var(g) = A^2 sin(k)^2 / 2.
    amplitude, k = 40.0, 2 * np.pi / PERIOD
    variance = amplitude**2 * np.sin(k) ** 2 / 2
    step = amplitude**2 * np.sin(k) * np.sin(k * np.array(shift)) / 2 / (variance + damping)
    field = LucasKanade(levels=1, steps=1, damping=damping)
    flow = interior(motion(chequer(), chequer(shift), field), 6)
    expected = np.broadcast_to(step[:, None, None], flow.shape)
    assert_allclose(flow, expected, rtol=0, atol=1e-9)


def test_a_step_is_no_longer_than_it_may_be():
    field = LucasKanade(levels=1, steps=1, longest_step=0.25)
    flow = interior(motion(chequer(), chequer((0.8, -0.8)), field), 6)
    expected = np.broadcast_to(np.array([0.25, -0.25])[:, None, None], flow.shape)
    assert_allclose(flow, expected, rtol=0, atol=1e-12)


def test_more_steps_come_closer():
    # By whole pixels: between them a cosine that is sampled linearly lags by part of its period.
    large = (56, 63)
    anchor, neighbour = chequer(size=large), chequer((2, 0), size=large)
    errors = [
        float(error_of(motion(anchor, neighbour, field), (2, 0), 16).max())
        for field in (LucasKanade(levels=1, steps=steps) for steps in (1, 2, 3))
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_more_levels_reach_further():
    # Two halves that part: the shift of the whole picture is that of one of them at most.
    shifts = (4, 0), (-4, 0)
    pairs = [moved(shift, seed=seed) for seed, shift in enumerate(shifts)]
    anchor, neighbour = (
        torch.cat([upper[:36], lower[36:]]) for upper, lower in zip(*pairs, strict=True)
    )
    near, far = (
        max(
            float(error_of(half, shift).median())
            for half, shift in zip(
                motion(anchor, neighbour, LucasKanade(levels=levels)).split(36, 1),
                shifts,
                strict=True,
            )
        )
        for levels in (1, 3)
    )
    assert far < 0.1 < 2 < near


@pytest.mark.parametrize("shift", [(9, 5), (-12, 7), (20, -8)])
def test_a_shift_of_the_whole_picture_is_found_beyond_the_reach_of_the_pyramid(shift):
    anchor, neighbour = moved(shift)
    assert error_of(motion(anchor, neighbour), shift).median() < 0.1


def test_a_wider_window_bears_more_noise():
    # By halves of a pixel: whole ones may be the start already.
    shift, random = (0.5, 0.5), torch.Generator().manual_seed(0)
    anchor, neighbour = (x + 8 * torch.randn(x.shape, generator=random) for x in moved(shift))
    narrow, wide = (
        error_of(motion(anchor, neighbour, LucasKanade(radius=radius)), shift).median()
        for radius in (2, 5)
    )
    assert wide < narrow / 1.5


def test_the_neighbour_shows_at_the_end_of_the_motion_what_the_anchor_shows_at_its_start():
    anchor, neighbour = moved((3, -2))
    torch.testing.assert_close(interior(neighbour[:-2, 3:], 9), interior(anchor[2:, :-3], 9))
    flow = motion(anchor, neighbour)
    assert interior(flow, 8).flatten(1).median(1).values.tolist() == pytest.approx([3, -2], abs=0.1)
    left = interior(warp(neighbour[None, None], flow[None])[0, 0] - anchor, 8)
    assert left.square().mean() < interior(neighbour - anchor, 8).square().mean() / 100


def test_identical_pictures_have_no_motion_but_for_rounding():
    anchor, _ = moved((0, 0))
    assert motion(anchor, anchor).abs().max() < 1e-4


def test_flat_pictures_have_no_motion_at_all():
    flat = torch.full((72, 104), 100.0)
    assert torch.count_nonzero(motion(flat, flat + 20)) == 0
    anchor, _ = moved((0, 0))
    assert torch.count_nonzero(motion(flat, anchor)) == 0


@pytest.mark.parametrize("change", [-30, 5])
def test_motion_is_blind_to_a_change_of_brightness(change):
    anchor, neighbour = (x.double() for x in moved((1.5, 0.5)))
    expected = motion(anchor, neighbour)
    torch.testing.assert_close(motion(anchor, neighbour + change), expected, atol=1e-6, rtol=0)


def test_no_step_is_kept_that_leaves_more_than_no_step():
    # Two pictures that have nothing to do with each other, so that most steps lead nowhere.
    anchor, neighbour = moved((0, 0), seed=1)[0], moved((0, 0), seed=2)[0]

    def left(flow):
        d = (warp(neighbour[None, None], flow[None])[0, 0] - anchor).double().numpy()
        mean, square = (ndimage.uniform_filter(z, 7, mode="nearest") for z in (d, d * d))
        return square - mean**2

    still, one = torch.zeros(2, 72, 104), LucasKanade(levels=1)
    assert np.mean(left(motion(anchor, neighbour, one))) < np.mean(left(still))


def test_batches_agree_with_one_at_a_time():
    pairs = [moved(shift, seed=seed) for seed, shift in enumerate([(1, 0), (-2, 1), (0.5, 3)])]
    anchors, ahead = (torch.stack(x) for x in zip(*pairs, strict=True))
    behind = anchors.flip(-1)
    together = LucasKanade()(anchors, torch.stack([ahead, behind]))
    assert together.shape == (2, 3, 2, 72, 104)
    for i in range(3):
        torch.testing.assert_close(together[0, i], motion(anchors[i], ahead[i]))
        torch.testing.assert_close(together[1, i], motion(anchors[i], behind[i]))


def test_neighbours_are_the_next_frame_and_the_one_before():
    frames = small_pictures(torch.from_numpy(shifted(-4.0 * np.arange(5), np.zeros(5))))
    forward, backward = neighbour_motion(frames)
    assert forward.shape == backward.shape == (3, 2, 72, 104)
    for t in range(3):
        torch.testing.assert_close(forward[t], motion(frames[t + 1], frames[t + 2]))
        torch.testing.assert_close(backward[t], motion(frames[t + 1], frames[t]))
    assert interior(forward[:, 0], 8).median() == pytest.approx(1, abs=0.1)
    assert interior(backward[:, 0], 8).median() == pytest.approx(-1, abs=0.1)


def test_leading_dimensions_are_runs():
    runs = torch.stack([moved((1, 0), seed=seed).repeat(3, 1, 1)[:5] for seed in range(4)])
    forward, backward = neighbour_motion(runs.view(2, 2, 5, 72, 104))
    assert forward.shape == (2, 2, 3, 2, 72, 104)
    for i, j in np.ndindex(2, 2):
        one_forward, one_backward = neighbour_motion(runs[2 * i + j])
        torch.testing.assert_close(forward[i, j], one_forward)
        torch.testing.assert_close(backward[i, j], one_backward)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_a_motion_that_leads_nowhere_stays_in_the_picture(bad):
    x = noise(1, 1, 12, 17).float()
    flow = torch.zeros(1, 2, 12, 17)
    flow[0, 0, 5, 5] = flow[0, 1, 7, 7] = bad
    warped = warp(x, flow)
    assert warped.isfinite().all()
    assert x.min() - 1e-3 < warped.min() and warped.max() < x.max() + 1e-3


FIELDS = [
    LucasKanade(),
    LucasKanade(rows=18, levels=2, radius=2),
    LucasKanade(radius=1, steps=1, damping=0.5),
    LucasKanade(radius=4, steps=3, longest_step=0.5),
]


@pytest.mark.parametrize("size", [(72, 104), (33, 17), (16, 40)])
@pytest.mark.parametrize("field", FIELDS)
def test_compiled_loops_find_the_motion_that_torch_finds_in_double_precision(field, size):
    anchor, ahead = moved((1.5, -0.5), size=size)
    anchors, neighbours = (
        torch.stack([anchor, ahead]),
        torch.stack([ahead, anchor]).expand(2, -1, -1, -1),
    )
    flow = field(anchors.double(), neighbours.double())
    assert flow.dtype == torch.float64
    difference = (flow - field(anchors, neighbours)).abs()
    # A step that is kept in one of them and not in the other is no larger than it.
    assert difference.quantile(0.99) < 1e-3


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (72, 40)])
def test_motion_is_found_in_tiny_and_in_upright_pictures(size):
    shift = (0.5, -0.25)
    anchor, neighbour = moved(shift, size=size)
    flow = motion(anchor, neighbour)
    assert flow.shape == (2, *size)
    assert error_of(flow, shift, 4).median() < half_of_what_counts_as_followed(anchor)


def test_a_picture_on_its_side_moves_on_its_side():
    anchor, neighbour = moved((1, -2))
    flow = motion(anchor.T, neighbour.T)
    assert interior(flow, 8).flatten(1).median(1).values.tolist() == pytest.approx([-2, 1], abs=0.1)


# Shift of the whole picture


def shift_of(anchor, neighbour):
    """(H, W) each to columns and rows."""
    return whole_shift(anchor[None], neighbour[None, None])[0, 0].tolist()


SHIFTS = [(0, 0), (3, -2), (-12, 7), (20, -8), (26, 18), (-26, -18)]
"""Columns and rows; the last ones are a quarter of 104 and of 72."""


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_shift_of_a_picture_that_comes_round_is_found(shift):
    anchor, _ = moved((0, 0))
    columns, rows = shift
    assert shift_of(anchor, anchor.roll((rows, columns), (0, 1))) == list(shift)


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_shift_of_a_picture_that_shows_new_parts_is_found(shift):
    assert shift_of(*moved(shift)) == list(shift)


@pytest.mark.parametrize("shift", [(27, 0), (0, 19), (-30, 2)])
def test_a_shift_of_over_a_quarter_of_the_picture_is_none(shift):
    assert shift_of(*moved(shift)) == [0, 0]


@pytest.mark.parametrize(("gain", "change"), [(1, -30), (1, 200), (0.5, 40), (3, 0)])
def test_the_shift_is_blind_to_brightness_and_to_contrast(gain, change):
    anchor, neighbour = moved((9, -5))
    assert shift_of(anchor, gain * neighbour + change) == [9, -5]


@pytest.mark.parametrize("value", [0.0, 33.3, 100.0, 100.1, 255.0])
def test_flat_pictures_are_not_shifted(value):
    flat = torch.full((72, 104), value)
    picture, _ = moved((0, 0))
    for anchor, neighbour in [(flat, flat + 20), (flat, picture), (picture, flat)]:
        assert shift_of(anchor, neighbour) == [0, 0]


def test_shifts_of_several_neighbours_are_those_of_each():
    pairs = [moved(shift, seed=seed) for seed, shift in enumerate([(9, 0), (-2, 11)])]
    anchors, ahead = (torch.stack(x) for x in zip(*pairs, strict=True))
    found = whole_shift(anchors, torch.stack([ahead, anchors]))
    assert found.tolist() == [[[9, 0], [-2, 11]], [[0, 0], [0, 0]]]
    assert found.dtype == anchors.dtype


# Both motions together


def test_only_the_acceleration_is_smoothed():
    forward, backward = noise(2, 2, 20, 31), noise(2, 2, 20, 31)
    smooth_forward, smooth_backward = smooth_acceleration(forward, backward)
    torch.testing.assert_close(smooth_forward - smooth_backward, forward - backward)
    expected = planewise(
        lambda plane: ndimage.uniform_filter(plane, 5, mode="nearest"), forward + backward
    )
    assert_allclose((smooth_forward + smooth_backward), expected, rtol=1e-9)


def test_gradients_flow_after_the_estimator_has_run_without_them():
    frames = torch.rand(6, 24, 40, dtype=torch.float64) * 255
    flicker(frames)
    flow = torch.zeros(1, 2, 24, 40, dtype=torch.float64, requires_grad=True)
    (warp(frames[None, :1], flow).mean() + blur(frames * flow.sum(), 1.5).mean()).backward()
    assert flow.grad.isfinite().all()


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_sizes_that_do_not_fit_are_refused_whatever_computes(dtype):
    pictures = torch.rand(3, 24, 40).to(dtype) * 255
    half, few = torch.zeros(1, 2, 12, 20).to(dtype), torch.zeros(2, 2, 24, 40).to(dtype)
    for flow in (half, few):
        with pytest.raises(RuntimeError):
            tile_moments(pictures, flow, flow)
    with pytest.raises(RuntimeError):
        warp(pictures[None], few)
    with pytest.raises(RuntimeError):
        LucasKanade()(pictures, pictures[None, :, :12])


def test_one_anchor_serves_several_neighbours():
    frames = small_pictures(torch.from_numpy(shifted(-2.0 * np.arange(4), np.zeros(4)))).float()
    field = LucasKanade()
    together = field(frames[:1], frames[None, 1:])
    apart = torch.cat([field(frames[:1], frames[None, i : i + 1]) for i in range(1, 4)], 1)
    torch.testing.assert_close(together, apart, atol=1e-2, rtol=0)


def test_small_pictures_of_integers_are_those_of_their_floats():
    codes = torch.randint(0, 256, (2, 150, 200), dtype=torch.uint8)
    torch.testing.assert_close(small_pictures(codes), small_pictures(codes.float()))
