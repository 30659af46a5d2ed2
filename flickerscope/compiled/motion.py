"""Lucas-Kanade and the moments of tiles, for float32 on the CPU; doors in motion/native.py.

All in one file: what numba keeps on disk is renewed when the file changes that a loop stands in,
not when those do that it calls.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from flickerscope.compiled.jit import compiled, part

__all__ = [
    "average_windows",
    "choose_start",
    "enlarge",
    "refine",
    "sum_details",
    "sum_triples",
    "take_off_blur",
    "warp",
]

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

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
def _warp_row(
    picture: Floats, across: Floats, down: Floats, y: int, spare: Floats, row: Floats
) -> None:
    """One row of `warp`, bilinear; what points nowhere comes from the border.

    In two passes, as only the first one makes vectors. ``spare``: (3 or more, W).
    """
    height, width = picture.shape
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    last_x, last_y = np.int32(max(width - 2, 0)), np.int32(max(height - 2, 0))
    start, line, none = np.float32(y), np.int32(width), np.int32(0)
    fx, fy, places = spare[0], spare[1], spare[2].view(np.int32)
    for x in range(width):
        px = max(ZERO, min(right, np.float32(x) + across[x]))
        py = max(ZERO, min(bottom, start + down[x]))
        ix = max(none, min(np.int32(px), last_x))
        iy = max(none, min(np.int32(py), last_y))
        fx[x], fy[x] = px - np.float32(ix), py - np.float32(iy)
        places[x] = iy * line + ix
    samples = picture.reshape(-1)
    beside, below = np.uint64(min(1, width - 1)), np.uint64(width if height > 1 else 0)
    for x in range(width):
        # Unsigned, so that no index has to be looked at for being negative.
        i = np.uint64(np.uint32(places[x]))
        j = i + below
        a, b = samples[i], samples[i + beside]
        c, d = samples[j], samples[j + beside]
        upper, lower = a + fx[x] * (b - a), c + fx[x] * (d - c)
        row[x] = upper + fy[x] * (lower - upper)


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
    count, channels, height, width = pictures.shape
    spare = np.empty((3, width), np.float32)
    for n in range(count):
        for c in range(channels):
            for y in range(height):
                across, down = flows[n, 0, y], flows[n, 1, y]
                _warp_row(pictures[n, c], across, down, y, spare, warped[n, c, y])


@part
def _differ(
    anchor: Floats,
    gradient: Floats,
    neighbour: Floats,
    flow: Floats,
    spare: Floats,
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
            _warp_row(neighbour, flow[0, y], flow[1, y], y, spare, d)
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
    spare = np.empty((3, width), np.float32)
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
            _differ(anchors[n], zero, neighbours[k, n], zero, spare, padded, rows, still)
            _differ(anchors[n], zero, neighbours[k, n], flow, spare, padded, rows, moved)
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
    spare = np.empty((3, width), np.float32)
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
                neighbour = neighbours[k, n]
                _differ(anchors[n], gradient, neighbour, flow, spare, padded, rows, wanted)
                _keep_better(wanted, flow, cost, best, step == 0)
                if step < steps:
                    _move(means, gradients, longest, flow)
            for c in range(2):
                _smooth(best[c], flow[c], done[k, n, c])


@part
def _places(length: int, small: int, first: Indices, share: Floats) -> None:
    """Between which samples of a row of ``small`` those of a longer row lie, and how far."""
    for x in range(length):
        place = max(0.0, (x + 0.5) * small / length - 0.5)
        first[x] = min(int(place), small - 1)
        share[x] = place - first[x]


@part
def _enlarge_plane(
    small: Floats, left: Indices, share: Floats, row: Floats, factor: np.float32, done: Floats
) -> None:
    """Bilinear, as `torch.nn.functional.interpolate` without aligned corners, times ``factor``."""
    height, rows, last = len(done), len(small), small.shape[1] - 1
    for y in range(height):
        place = max(0.0, (y + 0.5) * rows / height - 0.5)
        top = min(int(place), rows - 1)
        lower = np.float32(place - top)
        above, below = small[top], small[min(top + 1, rows - 1)]
        for x in range(last + 1):
            row[x] = factor * (above[x] + lower * (below[x] - above[x]))
        target = done[y]
        for x in range(len(target)):
            a = row[left[x]]
            target[x] = a + share[x] * (row[min(left[x] + 1, last)] - a)


@compiled("void(f4[:,:,:,:,::1], f4[:,:,:,:,::1])")
def enlarge(flows: Floats, done: Floats) -> None:
    """Flows of larger pictures, (K, N, 2, h, w) to (K, N, 2, H, W); twice the motion."""
    width, small_width = done.shape[4], flows.shape[4]
    left, share = np.empty(width, np.int64), np.empty(width, np.float32)
    row = np.empty(small_width, np.float32)
    _places(width, small_width, left, share)
    for k in range(flows.shape[0]):
        for n in range(flows.shape[1]):
            for c in range(2):
                _enlarge_plane(flows[k, n, c], left, share, row, TWO, done[k, n, c])


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
def _sum_columns(columns: Floats, tile: int, row: int, sums: Floats) -> None:
    """Sums over tiles from those down their columns."""
    for i in range(len(sums)):
        for column in range(sums.shape[2]):
            total = ZERO
            for x in range(column * tile, (column + 1) * tile):
                total += columns[i, x]
            sums[i, row, column] = total


@part
def _add_products(plus: Floats, minus: Floats, sums: Floats) -> None:
    """Add ``[d+ d+, d- d-, d+ d-, d+ + d-]`` of a row to the sums down the columns."""
    plus_plus, minus_minus, plus_minus, both = sums[0], sums[1], sums[2], sums[3]
    for x in range(len(plus)):
        plus_plus[x] += plus[x] * plus[x]
        minus_minus[x] += minus[x] * minus[x]
        plus_minus[x] += plus[x] * minus[x]
        both[x] += plus[x] + minus[x]


@part
def _add_row(inside: Floats, speed: Floats, plus: Floats, minus: Floats, sums: Floats) -> None:
    """Add a row of what `sum_triples` sums to the six sums down the columns."""
    shares, speeds = sums[0], sums[1]
    for x in range(len(inside)):
        shares[x] += inside[x]
        speeds[x] += speed[x]
    _add_products(plus, minus, sums[2:])


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
    spare, rows = np.empty((3, width), np.float32), np.empty((6, width), np.float32)
    inside, speed, plus, minus, after_like, before_like = rows
    columns_sums = np.empty((6, width), np.float32)
    for n in range(pictures):
        for y in range(sums.shape[2] * tile):
            inside[:] = ONE
            _inside_row(forward[n], height, y, slack, inside)
            _inside_row(backward[n], height, y, slack, inside)
            _warp_row(after[n], forward[n, 0, y], forward[n, 1, y], y, spare, plus)
            _warp_row(before[n], backward[n, 0, y], backward[n, 1, y], y, spare, minus)
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
                _sum_columns(columns_sums, tile, y // tile, sums[n])


@part
def _mirror(row: Floats, radius: int) -> None:
    """Mirror the values about the first and the last one in both margins, as often as it takes."""
    length = len(row) - 2 * radius
    period = max(1, 2 * (length - 1))
    for k in range(1, radius + 1):
        before, after = (-k) % period, (length - 1 + k) % period
        row[radius - k] = row[radius + min(before, period - before)]
        row[radius + length - 1 + k] = row[radius + min(after, period - after)]


@compiled("void(f4[:,:,::1], f4[::1], f4[:,:,::1])")
def take_off_blur(pictures: Floats, taps: Floats, band: Floats) -> None:
    """What a separable filter takes out of pictures, (N, H, W) alike; mirrored borders.

    ``taps``: of the filter, an odd number of them.
    """
    count, height, width = pictures.shape
    radius = len(taps) // 2
    padded = np.empty(width + 2 * radius, np.float32)
    along = np.empty((height, width), np.float32)
    total = np.empty(width, np.float32)
    period = max(1, 2 * (height - 1))
    for n in range(count):
        for y in range(height):
            padded[radius : radius + width] = pictures[n, y]
            _mirror(padded, radius)
            line = along[y]
            line[:] = ZERO
            for k in range(len(taps)):
                tap, shifted = taps[k], padded[k : k + width]
                for x in range(width):
                    line[x] += tap * shifted[x]
        for y in range(height):
            total[:] = ZERO
            for k in range(len(taps)):
                place = (y + k - radius) % period
                tap, line = taps[k], along[min(place, period - place)]
                for x in range(width):
                    total[x] += tap * line[x]
            target, picture = band[n, y], pictures[n, y]
            for x in range(width):
                target[x] = picture[x] - total[x]


@part
def _cubic(places: Floats, weights: Floats) -> None:
    """Weights of the four samples around each place, the middle two beside it.

    Keys 1981, a = -3/4. ``places``: (W,); ``weights``: (4, W), become the result.
    """
    a, three = np.float32(-0.75), np.float32(3)
    five_a, eight_a, four_a = np.float32(5) * a, np.float32(8) * a, np.float32(4) * a
    first, second, third, fourth = weights[0], weights[1], weights[2], weights[3]
    for x in range(len(places)):
        t = places[x] - np.floor(places[x])
        u, v = ONE - t, t + ONE
        one = ((a * v - five_a) * v + eight_a) * v - four_a
        two = ((a + TWO) * t - (a + three)) * t * t + ONE
        next_one = ((a + TWO) * u - (a + three)) * u * u + ONE
        first[x], second[x], third[x] = one, two, next_one
        fourth[x] = ONE - one - two - next_one


@part
def _warp_row_cubic(
    picture: Floats, across: Floats, down: Floats, y: int, spare: Floats, row: Floats
) -> None:
    """One row of `warp`, bicubic; beyond the border the border is repeated. ``spare``: (10, W)."""
    height, width = picture.shape
    # From two pixels beyond the border on, all four samples are the border's.
    low, right, bottom = np.float32(-3), np.float32(width + 2), np.float32(height + 2)
    start = np.float32(y)
    px, py = spare[0], spare[1]
    for x in range(width):
        px[x] = max(low, min(right, np.float32(x) + across[x]))
        py[x] = max(low, min(bottom, start + down[x]))
    _cubic(px, spare[2:6])
    _cubic(py, spare[6:10])
    x0, x1, x2, x3 = spare[2], spare[3], spare[4], spare[5]
    y0, y1, y2, y3 = spare[6], spare[7], spare[8], spare[9]
    samples = picture.reshape(-1)
    one, two, three, line = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(width)
    for x in range(width):
        ix, iy = int(np.floor(px[x])), int(np.floor(py[x]))
        p, q, r, s = y0[x], y1[x], y2[x], y3[x]
        if 1 <= ix < width - 2 and 1 <= iy < height - 2:
            # Unsigned, so that no index has to be looked at for being negative.
            i = np.uint64((iy - 1) * width + ix - 1)
            j, k, m = i + line, i + two * line, i + three * line
            a = p * samples[i] + q * samples[j] + r * samples[k] + s * samples[m]
            b = (
                p * samples[i + one]
                + q * samples[j + one]
                + r * samples[k + one]
                + s * samples[m + one]
            )
            c = (
                p * samples[i + two]
                + q * samples[j + two]
                + r * samples[k + two]
                + s * samples[m + two]
            )
            d = (
                p * samples[i + three]
                + q * samples[j + three]
                + r * samples[k + three]
                + s * samples[m + three]
            )
            row[x] = x0[x] * a + x1[x] * b + x2[x] * c + x3[x] * d
            continue
        total = ZERO
        for n, weight in enumerate((p, q, r, s)):
            near = picture[min(max(iy - 1 + n, 0), height - 1)]
            a, b = near[min(max(ix - 1, 0), width - 1)], near[min(max(ix, 0), width - 1)]
            c, d = near[min(max(ix + 1, 0), width - 1)], near[min(max(ix + 2, 0), width - 1)]
            total += weight * (x0[x] * a + x1[x] * b + x2[x] * c + x3[x] * d)
        row[x] = total


@part
def _beside(plane: Floats, y: int, row: Floats) -> None:
    """Sum of the four pixels beside each one of a row; the border is repeated."""
    height, width = plane.shape
    above, here, below = plane[max(y - 1, 0)], plane[y], plane[min(y + 1, height - 1)]
    row[0] = here[0] + here[min(1, width - 1)]
    row[width - 1] = here[max(width - 2, 0)] + here[width - 1]
    for x in range(1, width - 1):
        row[x] = here[x - 1] + here[x + 1]
    for x in range(width):
        row[x] += above[x] + below[x]


@part
def _see_detail(
    after: Floats,
    at: Floats,
    before: Floats,
    forward: Floats,
    backward: Floats,
    inside: Floats,
    plus: Floats,
    minus: Floats,
) -> None:
    """Differences to the neighbours along the motion, where both are inside."""
    height, width = at.shape
    spare = np.empty((10, width), np.float32)
    for y in range(height):
        ahead, behind = plus[y], minus[y]
        _warp_row_cubic(after, forward[0, y], forward[1, y], y, spare, ahead)
        _warp_row_cubic(before, backward[0, y], backward[1, y], y, spare, behind)
        here, share = at[y], inside[y]
        for x in range(width):
            ahead[x] = (ahead[x] - here[x]) * share[x]
            behind[x] = (here[x] - behind[x]) * share[x]


@part
def _add_detail(
    at: Floats, inside: Floats, plus: Floats, minus: Floats, y: int, row: Floats, sums: Floats
) -> None:
    """Add a row of what `sum_details` sums to the seven sums down the columns."""
    here, share, ahead, behind = at[y], inside[y], plus[y], minus[y]
    quarter = np.float32(0.25)
    product, detail, shares = sums[0], sums[1], sums[2]
    _beside(minus, y, row)
    for x in range(len(row)):
        product[x] += ahead[x] * row[x] * quarter
    _beside(at, y, row)
    for x in range(len(row)):
        detail[x] += here[x] * row[x] * share[x] * quarter
        shares[x] += share[x]
    _add_products(ahead, behind, sums[3:])


@part
def _inside_detail(forward: Floats, backward: Floats, slack: float, inside: Floats) -> None:
    """1 where both neighbours show the pixel, in twice as many rows and columns."""
    height, width = forward.shape[1:]
    row = np.empty(width, np.float32)
    for y in range(height):
        row[:] = ONE
        _inside_row(forward, height, y, slack, row)
        _inside_row(backward, height, y, slack, row)
        for i in range(2):
            for x in range(width):
                inside[2 * y + i, 2 * x] = row[x]
                inside[2 * y + i, 2 * x + 1] = row[x]


@compiled(
    "void(f4[:,:,::1], f4[:,:,::1], f4[:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1], f4, i8,"
    " f4[:,:,:,::1])"
)
def sum_details(
    before: Floats,
    at: Floats,
    after: Floats,
    forward: Floats,
    backward: Floats,
    slack: float,
    tile: int,
    sums: Floats,
) -> None:
    """Sums over tiles of what fine detail and its neighbours along the motion come to.

    Args:
        before, at, after: (N, 2 H, 2 W), a band of fine detail.
        forward, backward: (N, 2, H, W), pixels of half the size.
        slack: pixels of half the size by which a place may lie out of the picture.
        tile: pixels.
        sums: (N, 7, rows, columns), becomes the result; see `native.detail_sums`.
    """
    pictures, height, width = at.shape
    left, share = np.empty(width, np.int64), np.empty(width, np.float32)
    row, line = np.empty(width // 2, np.float32), np.empty(width, np.float32)
    ahead = np.empty((2, height, width), np.float32)
    behind = np.empty((2, height, width), np.float32)
    inside, plus, minus = np.empty((3, height, width), np.float32)
    columns_sums = np.empty((7, width), np.float32)
    _places(width, width // 2, left, share)
    for n in range(pictures):
        for c in range(2):
            _enlarge_plane(forward[n, c], left, share, row, TWO, ahead[c])
            _enlarge_plane(backward[n, c], left, share, row, TWO, behind[c])
        _inside_detail(forward[n], backward[n], slack, inside)
        _see_detail(after[n], at[n], before[n], ahead, behind, inside, plus, minus)
        for y in range(sums.shape[2] * tile):
            if y % tile == 0:
                columns_sums[:] = ZERO
            _add_detail(at[n], inside, plus, minus, y, line, columns_sums)
            if y % tile == tile - 1:
                _sum_columns(columns_sums, tile, y // tile, sums[n])
