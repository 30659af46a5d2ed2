"""Lucas-Kanade and the moments of tiles, for float32 on the CPU; doors in motion/native.py.

All in one file: what numba keeps on disk is renewed when the file changes that a loop stands in,
not when those do that it calls.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from flickerscope.compiled.jit import compiled, part

__all__ = ["average_windows", "choose_start", "enlarge", "refine", "sum_triples", "warp"]

Floats = npt.NDArray[np.float32]

ONE: Final = np.float32(1)
ZERO: Final = np.float32(0)
HALF: Final = np.float32(0.5)
TWO: Final = np.float32(2)

PLANES, FULL_PLANES = 2, 4
"""What `_differ` averages: d and d squared alone, or with the products with both gradients."""


@part
def _median(a: float, b: float, c: float) -> float:
    return max(min(a, b), min(max(a, b), c))


@part
def _warp_row(picture: Floats, across: Floats, down: Floats, y: int, row: Floats) -> None:
    """One row of `warp`, bilinear; what is no number comes from the first column or row."""
    height, width = picture.shape
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    # Unsigned, so that no index has to be looked at for being negative.
    last_x, last_y = np.uint32(max(width - 2, 0)), np.uint32(max(height - 2, 0))
    step_x, step_y = np.uint32(min(1, width - 1)), np.uint32(min(1, height - 1))
    start = np.float32(y)
    for x in range(width):
        px = max(ZERO, min(right, np.float32(x) + across[x]))
        py = max(ZERO, min(bottom, start + down[x]))
        ix, iy = min(np.uint32(px), last_x), min(np.uint32(py), last_y)
        fx, fy = px - np.float32(ix), py - np.float32(iy)
        a, b = picture[iy, ix], picture[iy, ix + step_x]
        c, d = picture[iy + step_y, ix], picture[iy + step_y, ix + step_x]
        upper, lower = a + fx * (b - a), c + fx * (d - c)
        row[x] = upper + fy * (lower - upper)


@part
def _pad_row(row: Floats, radius: int) -> None:
    """Repeat the values beside both margins in them."""
    last = len(row) - radius - 1
    for k in range(radius):
        row[k] = row[radius]
        row[last + 1 + k] = row[last]


@part
def _sum_along(padded: Floats, taps: int, line: Floats) -> None:
    """Running sums of a row. The usual windows are spelled out: that makes them vectors."""
    p = padded
    if taps == 7:
        for x in range(len(line)):
            line[x] = ((p[x] + p[x + 1]) + (p[x + 2] + p[x + 3])) + (
                (p[x + 4] + p[x + 5]) + p[x + 6]
            )
    elif taps == 5:
        for x in range(len(line)):
            line[x] = ((p[x] + p[x + 1]) + (p[x + 2] + p[x + 3])) + p[x + 4]
    else:
        for x in range(len(line)):
            total = p[x]
            for k in range(1, taps):
                total += p[x + k]
            line[x] = total


@part
def _mean_down(rows: Floats, target: Floats) -> None:
    """Means over squared windows from rows that hold sums along them."""
    taps, r = len(rows), rows
    share = ONE / np.float32(taps * taps)
    if taps == 7:
        for x in range(len(target)):
            total = ((r[0, x] + r[1, x]) + (r[2, x] + r[3, x])) + ((r[4, x] + r[5, x]) + r[6, x])
            target[x] = total * share
    elif taps == 5:
        for x in range(len(target)):
            target[x] = (((r[0, x] + r[1, x]) + (r[2, x] + r[3, x])) + r[4, x]) * share
    else:
        for x in range(len(target)):
            total = r[0, x]
            for k in range(1, taps):
                total += r[k, x]
            target[x] = total * share


@part
def _window_row(padded: Floats, rows: Floats, means: Floats, y: int) -> None:
    """Take row ``y`` of some planes, and finish the row of their window means that it completes.

    Args:
        padded: (planes, W + 2 radius), the row, its margins still empty; beyond the last row it
            is not looked at.
        rows: (planes, taps, W), the last rows' sums, by their number.
        means: (planes, H, W).
        y: up to H + radius.
    """
    planes, height = means.shape[0], means.shape[1]
    taps = rows.shape[1]
    radius, slot = taps // 2, y % taps
    for p in range(planes):
        if y < height:
            _pad_row(padded[p], radius)
            _sum_along(padded[p], taps, rows[p, slot])
            if y == 0:  # the border is repeated
                for k in range(1, radius + 1):
                    rows[p, taps - k] = rows[p, 0]
        else:
            rows[p, slot] = rows[p, (height - 1) % taps]
        if y >= radius:
            _mean_down(rows[p], means[p, y - radius])


@compiled("void(f4[:,:,::1], i8, f4[:,:,::1])")
def average_windows(planes: Floats, radius: int, means: Floats) -> None:
    """Means over squared windows, (N, H, W) alike; the border is repeated."""
    count, height, width = planes.shape
    padded = np.empty((1, width + 2 * radius), np.float32)
    rows = np.empty((1, 2 * radius + 1, width), np.float32)
    for n in range(count):
        for y in range(height + radius):
            if y < height:
                padded[0, radius : radius + width] = planes[n, y]
            _window_row(padded, rows, means[n : n + 1], y)


@compiled("void(f4[:,:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1])")
def warp(pictures: Floats, flows: Floats, warped: Floats) -> None:
    """Values at the places that flows point to, (N, C, H, W) and (N, 2, H, W); bilinear."""
    count, channels, height, _ = pictures.shape
    for n in range(count):
        for c in range(channels):
            for y in range(height):
                _warp_row(pictures[n, c], flows[n, 0, y], flows[n, 1, y], y, warped[n, c, y])


@part
def _differ(
    anchor: Floats,
    gradient: Floats,
    neighbour: Floats,
    flow: Floats,
    padded: Floats,
    rows: Floats,
    means: Floats,
) -> None:
    """Window means of ``[d, d d, d gx, d gy]``, or the first two, for d = warped - anchor."""
    height, width = anchor.shape
    radius = rows.shape[1] // 2
    inside = slice(radius, radius + width)
    for y in range(height + radius):
        if y < height:
            d, square, still = padded[0, inside], padded[1, inside], anchor[y]
            _warp_row(neighbour, flow[0, y], flow[1, y], y, d)
            for x in range(width):
                difference = d[x] - still[x]
                d[x] = difference
                square[x] = difference * difference
            if len(means) == FULL_PLANES:
                gx, gy = gradient[0, y], gradient[1, y]
                with_x, with_y = padded[2, inside], padded[3, inside]
                for x in range(width):
                    with_x[x] = d[x] * gx[x]
                    with_y[x] = d[x] * gy[x]
        _window_row(padded, rows, means, y)


@compiled("void(f4[:,:,::1], f4[:,:,:,::1], f4[:,:,::1], i8, f4[:,:,:,:,::1])")
def choose_start(
    anchors: Floats, neighbours: Floats, shifts: Floats, radius: int, flows: Floats
) -> None:
    """Each pair's shift where it makes a window more alike, and 0 elsewhere.

    Args:
        anchors: (N, H, W).
        neighbours: (K, N, H, W).
        shifts: (K, N, 2), pixels.
        radius: of the window, pixels.
        flows: (K, N, 2, H, W), becomes the result.
    """
    count, pictures, height, width = neighbours.shape
    padded = np.empty((PLANES, width + 2 * radius), np.float32)
    rows = np.empty((PLANES, 2 * radius + 1, width), np.float32)
    still = np.empty((PLANES, height, width), np.float32)
    moved = np.empty((PLANES, height, width), np.float32)
    zero = np.zeros((2, height, width), np.float32)
    for k in range(count):
        for n in range(pictures):
            flow = flows[k, n]
            flow[0] = shifts[k, n, 0]
            flow[1] = shifts[k, n, 1]
            _differ(anchors[n], zero, neighbours[k, n], zero, padded, rows, still)
            _differ(anchors[n], zero, neighbours[k, n], flow, padded, rows, moved)
            for y in range(height):
                for x in range(width):
                    before = still[1, y, x] - still[0, y, x] * still[0, y, x]
                    after = moved[1, y, x] - moved[0, y, x] * moved[0, y, x]
                    if not after < before:
                        flow[0, y, x] = ZERO
                        flow[1, y, x] = ZERO


@part
def _gradients(
    anchor: Floats, damping: float, padded: Floats, rows: Floats, gradient: Floats, means: Floats
) -> None:
    """Gradients of an anchor, their window means, and the inverse of their covariances.

    ``means``: (5, H, W), becomes ``[gx, gy, inverse xx, inverse xy, inverse yy]``.
    """
    height, width = anchor.shape
    radius = rows.shape[1] // 2
    for y in range(height + radius):
        if y < height:
            above, here = anchor[max(y - 1, 0)], anchor[y]
            below = anchor[min(y + 1, height - 1)]
            gx, gy = gradient[0, y], gradient[1, y]
            gx[0] = (here[min(1, width - 1)] - here[0]) * HALF
            gx[width - 1] = (here[width - 1] - here[max(width - 2, 0)]) * HALF
            for x in range(1, width - 1):
                gx[x] = (here[x + 1] - here[x - 1]) * HALF
            for x in range(width):
                gy[x] = (below[x] - above[x]) * HALF
                padded[0, radius + x] = gx[x]
                padded[1, radius + x] = gy[x]
                padded[2, radius + x] = gx[x] * gx[x]
                padded[3, radius + x] = gx[x] * gy[x]
                padded[4, radius + x] = gy[x] * gy[x]
        _window_row(padded, rows, means, y)
    for y in range(height):
        for x in range(width):
            mean_x, mean_y = means[0, y, x], means[1, y, x]
            xx = means[2, y, x] - mean_x * mean_x + damping
            xy = means[3, y, x] - mean_x * mean_y
            yy = means[4, y, x] - mean_y * mean_y + damping
            determinant = xx * yy - xy * xy
            means[2, y, x] = yy / determinant
            means[3, y, x] = -xy / determinant
            means[4, y, x] = xx / determinant


@part
def _keep_better(means: Floats, flow: Floats, cost: Floats, best: Floats, first: bool) -> None:
    """Keep the flow where it lowers the variance of d."""
    height, width = cost.shape
    for y in range(height):
        mean, square, least = means[0, y], means[1, y], cost[y]
        across, down, best_across, best_down = flow[0, y], flow[1, y], best[0, y], best[1, y]
        for x in range(width):
            variance = square[x] - mean[x] * mean[x]
            better = first or variance < least[x]
            least[x] = variance if better else least[x]
            best_across[x] = across[x] if better else best_across[x]
            best_down[x] = down[x] if better else best_down[x]


@part
def _move(means: Floats, gradients: Floats, longest: float, flow: Floats) -> None:
    """The step of least squares."""
    height, width = flow.shape[1:]
    for y in range(height):
        mean, with_x, with_y = means[0, y], means[2, y], means[3, y]
        mean_x, mean_y = gradients[0, y], gradients[1, y]
        xx, xy, yy = gradients[2, y], gradients[3, y], gradients[4, y]
        across, down = flow[0, y], flow[1, y]
        for x in range(width):
            a = with_x[x] - mean[x] * mean_x[x]
            b = with_y[x] - mean[x] * mean_y[x]
            across[x] -= min(max(xx[x] * a + xy[x] * b, -longest), longest)
            down[x] -= min(max(yy[x] * b + xy[x] * a, -longest), longest)


@part
def _smooth(plane: Floats, along: Floats, done: Floats) -> None:
    """Median of three along rows, then along columns; the border is repeated."""
    height, width = plane.shape
    for y in range(height):
        row, target = plane[y], along[y]
        target[0] = _median(row[0], row[0], row[min(1, width - 1)])
        target[width - 1] = _median(row[max(width - 2, 0)], row[width - 1], row[width - 1])
        for x in range(1, width - 1):
            target[x] = _median(row[x - 1], row[x], row[x + 1])
    for y in range(height):
        above, here, below = along[max(y - 1, 0)], along[y], along[min(y + 1, height - 1)]
        target = done[y]
        for x in range(width):
            target[x] = _median(above[x], here[x], below[x])


@compiled("void(f4[:,:,::1], f4[:,:,:,::1], f4[:,:,:,:,::1], i8, i8, f4, f4, f4[:,:,:,:,::1])")
def refine(
    anchors: Floats,
    neighbours: Floats,
    flows: Floats,
    radius: int,
    steps: int,
    damping: float,
    longest: float,
    done: Floats,
) -> None:
    """One level of Lucas-Kanade, with the flows smoothed by a median.

    Args:
        anchors: (N, H, W).
        neighbours: (K, N, H, W).
        flows: (K, N, 2, H, W), pixels, from which to start.
        radius: of the window, pixels.
        steps: of least squares.
        damping: added to the diagonal of the gradients' covariance.
        longest: of a step's sides, pixels.
        done: becomes the result.
    """
    count, pictures, height, width = neighbours.shape
    taps = 2 * radius + 1
    padded = np.empty((5, width + 2 * radius), np.float32)
    rows = np.empty((5, taps, width), np.float32)
    gradient = np.empty((2, height, width), np.float32)
    gradients = np.empty((5, height, width), np.float32)
    means = np.empty((FULL_PLANES, height, width), np.float32)
    cost = np.empty((height, width), np.float32)
    flow = np.empty((2, height, width), np.float32)
    best = np.empty((2, height, width), np.float32)
    for n in range(pictures):
        _gradients(anchors[n], damping, padded, rows, gradient, gradients)
        for k in range(count):
            flow[:] = flows[k, n]
            for step in range(steps + 1):
                planes = FULL_PLANES if step < steps else PLANES
                wanted = means[:planes]
                _differ(anchors[n], gradient, neighbours[k, n], flow, padded, rows, wanted)
                _keep_better(wanted, flow, cost, best, step == 0)
                if step < steps:
                    _move(means, gradients, longest, flow)
            for c in range(2):
                _smooth(best[c], flow[c], done[k, n, c])


@compiled("void(f4[:,:,:,:,::1], f4[:,:,:,:,::1])")
def enlarge(flows: Floats, done: Floats) -> None:
    """As `torch.nn.functional.interpolate` does without aligned corners; twice the motion."""
    count, pictures, height, width = done.shape[0], done.shape[1], done.shape[3], done.shape[4]
    small_height, small_width = flows.shape[3:]
    left = np.empty(width, np.int64)
    share = np.empty(width, np.float32)
    for x in range(width):
        place = max(0.0, (x + 0.5) * small_width / width - 0.5)
        left[x] = min(int(place), small_width - 1)
        share[x] = place - left[x]
    row = np.empty(small_width, np.float32)
    for k in range(count):
        for n in range(pictures):
            for c in range(2):
                for y in range(height):
                    place = max(0.0, (y + 0.5) * small_height / height - 0.5)
                    top = min(int(place), small_height - 1)
                    lower = np.float32(place - top)
                    above = flows[k, n, c, top]
                    below = flows[k, n, c, min(top + 1, small_height - 1)]
                    for x in range(small_width):
                        row[x] = 2 * (above[x] + lower * (below[x] - above[x]))
                    target = done[k, n, c, y]
                    for x in range(width):
                        a = row[left[x]]
                        target[x] = a + share[x] * (row[min(left[x] + 1, small_width - 1)] - a)


@part
def _blur_as_sampled(plane: Floats, y: int, flow: Floats, row: Floats) -> None:
    """One row of `_as_if_sampled`: the plane with the blur that sampling gives its neighbours."""
    height, width = plane.shape
    above, here, below = plane[max(y - 1, 0)], plane[y], plane[min(y + 1, height - 1)]
    across, down = flow[0, y], flow[1, y]
    row[0] = here[min(1, width - 1)] - here[0]
    row[width - 1] = here[max(width - 2, 0)] - here[width - 1]
    for x in range(1, width - 1):
        row[x] = here[x - 1] + here[x + 1] - TWO * here[x]
    for x in range(width):
        fx, fy = across[x] - np.floor(across[x]), down[x] - np.floor(down[x])
        beside = above[x] + below[x] - TWO * here[x]
        row[x] = here[x] + HALF * (fx * (ONE - fx) * row[x] + fy * (ONE - fy) * beside)


@part
def _inside_row(flow: Floats, height: int, y: int, slack: float, row: Floats) -> None:
    """Leave 1 where the place moved to lies in the picture."""
    across, down = flow[0, y], flow[1, y]
    width = len(row)
    right, bottom = np.float32(width - 1) + slack, np.float32(height - 1) + slack
    for x in range(width):
        px, py = np.float32(x) + across[x], np.float32(y) + down[x]
        inside = (px >= -slack) & (px <= right) & (py >= -slack) & (py <= bottom)
        row[x] = row[x] if inside else ZERO


@part
def _add_row(inside: Floats, speed: Floats, plus: Floats, minus: Floats, sums: Floats) -> None:
    shares, speeds = sums[0], sums[1]
    for x in range(len(inside)):
        shares[x] += inside[x]
        speeds[x] += speed[x]
    plus_plus, minus_minus, plus_minus, both = sums[2], sums[3], sums[4], sums[5]
    for x in range(len(inside)):
        plus_plus[x] += plus[x] * plus[x]
        minus_minus[x] += minus[x] * minus[x]
        plus_minus[x] += plus[x] * minus[x]
        both[x] += plus[x] + minus[x]


@compiled(
    "void(f4[:,:,::1], f4[:,:,::1], f4[:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1], f4, i8,"
    " f4[:,:,:,::1])"
)
def sum_triples(
    before: Floats,
    at: Floats,
    after: Floats,
    forward: Floats,
    backward: Floats,
    slack: float,
    tile: int,
    sums: Floats,
) -> None:
    """Sums over tiles of what frames and their neighbours along the motion come to.

    Args:
        before, at, after: (N, H, W).
        forward, backward: (N, 2, H, W), pixels.
        slack: pixels by which a place may lie out of the picture.
        tile: pixels.
        sums: (N, 6, rows, columns), becomes the result; see `native.triple_sums`.
    """
    pictures, height, width = at.shape
    rows = np.empty((6, width), np.float32)
    inside, speed, plus, minus, after_like, before_like = rows
    columns_sums = np.empty((6, width), np.float32)
    for n in range(pictures):
        for y in range(sums.shape[2] * tile):
            inside[:] = ONE
            _inside_row(forward[n], height, y, slack, inside)
            _inside_row(backward[n], height, y, slack, inside)
            _warp_row(after[n], forward[n, 0, y], forward[n, 1, y], y, plus)
            _warp_row(before[n], backward[n, 0, y], backward[n, 1, y], y, minus)
            _blur_as_sampled(at[n], y, forward[n], after_like)
            _blur_as_sampled(at[n], y, backward[n], before_like)
            across, down = forward[n, 0, y], forward[n, 1, y]
            for x in range(width):
                speed[x] = np.sqrt(across[x] * across[x] + down[x] * down[x])
                plus[x] = (plus[x] - after_like[x]) * inside[x]
                minus[x] = (before_like[x] - minus[x]) * inside[x]
            if y % tile == 0:
                columns_sums[:] = ZERO
            _add_row(inside, speed, plus, minus, columns_sums)
            if y % tile == tile - 1:
                for i in range(6):
                    for column in range(sums.shape[3]):
                        total = ZERO
                        for x in range(column * tile, (column + 1) * tile):
                            total += columns_sums[i, x]
                        sums[n, i, y // tile, column] = total
