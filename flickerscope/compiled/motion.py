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
QUARTER: Final = np.float32(0.25)
THREE_QUARTERS: Final = np.float32(0.75)
TWO: Final = np.float32(2)


@part
def _median(a: float, b: float, c: float) -> float:
    return max(min(a, b), min(max(a, b), c))


# Pictures at work are one long row each, in which each of their rows takes ``side`` values: loops
# over a whole picture of few arrays make vectors, those over single rows hardly get that far.


@part
def _put(row: Floats, target: Floats) -> None:
    for x in range(len(row)):
        target[x] = row[x]


@part
def _fill(row: Floats, value: np.float32) -> None:
    for i in range(len(row)):
        row[i] = value


@part
def _multiply(a: Floats, b: Floats, done: Floats) -> None:
    for i in range(len(done)):
        done[i] = a[i] * b[i]


@part
def _take_off(a: Floats, b: Floats, done: Floats) -> None:
    """Take ``a b`` off."""
    for i in range(len(done)):
        done[i] -= a[i] * b[i]


@part
def _number(side: int, columns: Floats, rows: Floats) -> None:
    """Each pixel's column and row."""
    for i in range(len(columns)):
        columns[i], rows[i] = np.float32(i % side), np.float32(i // side)


@part
def _find_places(
    shape: tuple[int, int],
    columns: Floats,
    rows: Floats,
    across: Floats,
    down: Floats,
    shares: Floats,
    places: npt.NDArray[np.int32],
) -> None:
    """Where pixels move to in a picture; what points nowhere comes from the border.

    Args:
        shape: of the picture.
        columns, rows: of the pixels; see `_number`.
        across, down: their motion.
        shares: (2, pixels), becomes how far the place lies beyond the sample before it.
        places: (pixels,), becomes the number of that sample in the picture.
    """
    height, width = shape
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    last_x, last_y = np.int32(max(width - 2, 0)), np.int32(max(height - 2, 0))
    line, none = np.int32(width), np.int32(0)
    fx, fy = shares[0], shares[1]
    for i in range(len(places)):
        px = max(ZERO, min(right, columns[i] + across[i]))
        ix = max(none, min(np.int32(px), last_x))
        fx[i] = px - np.float32(ix)
        places[i] = ix
    for i in range(len(places)):
        py = max(ZERO, min(bottom, rows[i] + down[i]))
        iy = max(none, min(np.int32(py), last_y))
        fy[i] = py - np.float32(iy)
        places[i] += iy * line


@part
def _sample(
    picture: Floats, shares: Floats, places: npt.NDArray[np.int32], first: int, row: Floats
) -> None:
    """Bilinear samples of a picture at the places of pixels from ``first`` on."""
    height, width = picture.shape
    samples, fx, fy = picture.reshape(-1), shares[0], shares[1]
    beside, below = np.uint64(min(1, width - 1)), np.uint64(width if height > 1 else 0)
    for x in range(len(row)):
        # Unsigned, so that no index has to be looked at for being negative.
        here = np.uint64(first + x)
        i = np.uint64(np.uint32(places[here]))
        j = i + below
        a, b = samples[i], samples[i + beside]
        c, d = samples[j], samples[j + beside]
        upper, lower = a + fx[here] * (b - a), c + fx[here] * (d - c)
        row[x] = upper + fy[here] * (lower - upper)


@compiled("void(f4[:,:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1])")
def warp(pictures: Floats, flows: Floats, warped: Floats) -> None:
    """Values at the places that flows point to, (N, C, H, W) and (N, 2, H, W); bilinear."""
    count, channels, height, width = pictures.shape
    pixels = height * width
    columns, rows = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    shares, places = np.empty((2, pixels), np.float32), np.empty(pixels, np.int32)
    _number(width, columns, rows)
    for n in range(count):
        across, down = flows[n, 0].reshape(-1), flows[n, 1].reshape(-1)
        _find_places((height, width), columns, rows, across, down, shares, places)
        for c in range(channels):
            _sample(pictures[n, c], shares, places, 0, warped[n, c].reshape(-1))


@part
def _fill_margins(plane: Floats, side: int, radius: int) -> None:
    """Repeat the border of each row in its margins."""
    for start in range(0, len(plane), side):
        first, last = start + radius, start + side - radius - 1
        for k in range(radius):
            plane[start + k] = plane[first]
            plane[last + 1 + k] = plane[last]


@part
def _widen(picture: Floats, radius: int, plane: Floats) -> None:
    """A picture with margins left and right of its rows."""
    height, width = picture.shape
    side = width + 2 * radius
    for y in range(height):
        _put(picture[y], plane[y * side + radius :])
    _fill_margins(plane, side, radius)


@part
def _sum_along(plane: Floats, taps: int, sums: Floats) -> None:
    """Running sums. The usual windows are spelled out: that makes them vectors."""
    p, sums = plane, sums[: len(plane) - taps + 1]
    if taps == 7:
        for i in range(len(sums)):
            sums[i] = ((p[i] + p[i + 1]) + (p[i + 2] + p[i + 3])) + (
                (p[i + 4] + p[i + 5]) + p[i + 6]
            )
    elif taps == 5:
        for i in range(len(sums)):
            sums[i] = ((p[i] + p[i + 1]) + (p[i + 2] + p[i + 3])) + p[i + 4]
    else:
        for i in range(len(sums)):
            total = p[i]
            for k in range(1, taps):
                total += p[i + k]
            sums[i] = total


@part
def _mean_down(sums: Floats, side: int, taps: int, means: Floats) -> None:
    """Means over squared windows from sums along the rows."""
    share = ONE / np.float32(taps * taps)
    a, b, c, d = sums, sums[side:], sums[2 * side :], sums[3 * side :]
    e, f, g = sums[4 * side :], sums[5 * side :], sums[6 * side :]
    if taps == 7:
        for i in range(len(means)):
            total = ((a[i] + b[i]) + (c[i] + d[i])) + ((e[i] + f[i]) + g[i])
            means[i] = total * share
    elif taps == 5:
        for i in range(len(means)):
            means[i] = (((a[i] + b[i]) + (c[i] + d[i])) + e[i]) * share
    else:
        for i in range(len(means)):
            total = a[i]
            for k in range(1, taps):
                total += sums[i + k * side]
            means[i] = total * share


@part
def _average(plane: Floats, side: int, radius: int, sums: Floats, means: Floats) -> None:
    """Means over squared windows; the border is repeated.

    Args:
        plane: (H * side,), rows with margins of the radius on both sides.
        side: W + 2 radius.
        radius: of the windows, pixels.
        sums: ((H + 2 radius) * side,), to work in.
        means: (H * side,), of which the first W of each row are means.
    """
    above, taps, size = radius * side, 2 * radius + 1, len(plane)
    _sum_along(plane, taps, sums[above:])
    first, last = sums[above : above + side], sums[size + above - side :]
    for k in range(radius):
        _put(first, sums[k * side :])
        _put(last[:side], sums[size + above + k * side :])
    _mean_down(sums, side, taps, means)


@part
def _covary(
    a: Floats,
    b: Floats,
    mean_a: Floats,
    mean_b: Floats,
    side: int,
    radius: int,
    product: Floats,
    sums: Floats,
    done: Floats,
) -> None:
    """Covariance over squared windows of two planes whose means there are known.

    Args:
        a, b: as of `_average`.
        mean_a, mean_b: what that makes of them.
        side, radius: as of `_average`.
        product, sums: to work in, (H * side,) and as of `_average`.
        done: (H * side,), becomes the result.
    """
    _multiply(a, b, product)
    _average(product, side, radius, sums, done)
    _take_off(mean_a, mean_b, done)


@compiled("void(f4[:,:,::1], i8, f4[:,:,::1])")
def average_windows(planes: Floats, radius: int, means: Floats) -> None:
    """Means over squared windows, (N, H, W) alike; the border is repeated."""
    count, height, width = planes.shape
    side = width + 2 * radius
    plane, found = np.empty(height * side, np.float32), np.empty(height * side, np.float32)
    sums = np.zeros((height + 2 * radius) * side, np.float32)
    for n in range(count):
        _widen(planes[n], radius, plane)
        _average(plane, side, radius, sums, found)
        for y in range(height):
            _put(found[y * side : y * side + width], means[n, y])


@part
def _keep_better(variance: Floats, flow: Floats, least: Floats, best: Floats) -> None:
    """Keep the flow, (2, pixels), where it lowers the variance."""
    for c in range(2):
        now, kept = flow[c], best[c]
        for i in range(len(least)):
            better, worse = now[i], kept[i]
            kept[i] = better if variance[i] < least[i] else worse
    for i in range(len(least)):
        better, worse = variance[i], least[i]
        least[i] = better if better < worse else worse


@part
def _step(longest: float, p: Floats, a: Floats, q: Floats, b: Floats, flow: Floats) -> None:
    """Take ``p a + q b`` off, up to a length."""
    for i in range(len(flow)):
        flow[i] -= min(max(p[i] * a[i] + q[i] * b[i], -longest), longest)


@part
def _differ(
    picture: Floats,
    still: Floats,
    side: int,
    radius: int,
    shares: Floats,
    places: npt.NDArray[np.int32],
    d: Floats,
) -> None:
    """A picture brought along the motion minus the anchor, both with margins."""
    height, width = picture.shape
    for y in range(height):
        start = y * side + radius
        _sample(picture, shares, places, y * side, d[start : start + width])
    _fill_margins(d, side, radius)
    for i in range(len(d)):
        d[i] -= still[i]


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
    side = width + 2 * radius
    pixels = height * side
    columns, rows = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    across, down = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    still, d = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    product, mean = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    before, after = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    shares, places = np.empty((2, pixels), np.float32), np.empty(pixels, np.int32)
    sums = np.zeros((height + 2 * radius) * side, np.float32)
    _number(side, columns, rows)
    for k in range(count):
        for n in range(pictures):
            flow, picture, shift = flows[k, n], neighbours[k, n], shifts[k, n]
            _widen(anchors[n], radius, still)
            _widen(picture, radius, d)
            for i in range(pixels):
                d[i] -= still[i]
            _average(d, side, radius, sums, mean)
            _covary(d, d, mean, mean, side, radius, product, sums, before)
            _fill(across, shift[0])
            _fill(down, shift[1])
            _find_places((height, width), columns, rows, across, down, shares, places)
            _differ(picture, still, side, radius, shares, places, d)
            _average(d, side, radius, sums, mean)
            _covary(d, d, mean, mean, side, radius, product, sums, after)
            for y in range(height):
                for x in range(width):
                    better = after[y * side + x] < before[y * side + x]
                    flow[0, y, x] = shift[0] if better else ZERO
                    flow[1, y, x] = shift[1] if better else ZERO


@part
def _differentiate(picture: Floats, radius: int, gx: Floats, gy: Floats) -> None:
    """Gradients of a picture, with margins; the border is repeated."""
    height, width = picture.shape
    side = width + 2 * radius
    for y in range(height):
        above, here = picture[max(y - 1, 0)], picture[y]
        below = picture[min(y + 1, height - 1)]
        across, down = gx[y * side + radius :], gy[y * side + radius :]
        across[0] = (here[min(1, width - 1)] - here[0]) * HALF
        across[width - 1] = (here[width - 1] - here[max(width - 2, 0)]) * HALF
        for x in range(1, width - 1):
            across[x] = (here[x + 1] - here[x - 1]) * HALF
        for x in range(width):
            down[x] = (below[x] - above[x]) * HALF
    _fill_margins(gx, side, radius)
    _fill_margins(gy, side, radius)


@part
def _invert(
    damping: float, xx: Floats, xy: Floats, yy: Floats, determinant: Floats, inverse: Floats
) -> None:
    """Inverse of damped covariances, (3, pixels): ``[xx, xy, yy]``."""
    for i in range(len(xx)):
        xx[i] += damping
        yy[i] += damping
    for i in range(len(xx)):
        determinant[i] = xx[i] * yy[i] - xy[i] * xy[i]
    inverse_xx, inverse_xy, inverse_yy = inverse[0], inverse[1], inverse[2]
    for i in range(len(xx)):
        inverse_xx[i] = yy[i] / determinant[i]
    for i in range(len(xx)):
        inverse_xy[i] = -xy[i] / determinant[i]
    for i in range(len(xx)):
        inverse_yy[i] = xx[i] / determinant[i]


@part
def _smooth(plane: Floats, side: int, along: Floats, done: Floats) -> None:
    """Median of three along rows, then along columns; the border is repeated.

    ``plane``: of which the first W values of each row count; ``done``: (H, W), becomes the result.
    """
    height, width = done.shape
    for i in range(1, len(plane) - 1):
        along[i] = _median(plane[i - 1], plane[i], plane[i + 1])
    for y in range(height):
        row, first, last = plane[y * side :], y * side, y * side + width - 1
        along[first] = _median(row[0], row[0], row[min(1, width - 1)])
        along[last] = _median(row[max(width - 2, 0)], row[width - 1], row[width - 1])
    for y in range(height):
        above, here = along[max(y - 1, 0) * side :], along[y * side :]
        below, target = along[min(y + 1, height - 1) * side :], done[y]
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
    side = width + 2 * radius
    pixels = height * side
    columns, rows = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    still, d = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    gx, gy = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    mean_x, mean_y = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    with_x, with_y = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    mean, variance = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    product, least = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    shares, places = np.empty((2, pixels), np.float32), np.empty(pixels, np.int32)
    sums = np.zeros((height + 2 * radius) * side, np.float32)
    flow, best = np.zeros((2, pixels), np.float32), np.empty((2, pixels), np.float32)
    inverse = np.empty((3, pixels), np.float32)
    _number(side, columns, rows)
    for n in range(pictures):
        _widen(anchors[n], radius, still)
        _differentiate(anchors[n], radius, gx, gy)
        _average(gx, side, radius, sums, mean_x)
        _average(gy, side, radius, sums, mean_y)
        _covary(gx, gx, mean_x, mean_x, side, radius, product, sums, with_x)
        _covary(gx, gy, mean_x, mean_y, side, radius, product, sums, mean)
        _covary(gy, gy, mean_y, mean_y, side, radius, product, sums, with_y)
        _invert(damping, with_x, mean, with_y, variance, inverse)
        for k in range(count):
            for c in range(2):
                for y in range(height):
                    _put(flows[k, n, c, y], flow[c, y * side :])
            for step in range(steps + 1):
                _find_places((height, width), columns, rows, flow[0], flow[1], shares, places)
                _differ(neighbours[k, n], still, side, radius, shares, places, d)
                _average(d, side, radius, sums, mean)
                _covary(d, d, mean, mean, side, radius, product, sums, variance)
                if step == 0:
                    _put(variance, least)
                    _put(flow[0], best[0])
                    _put(flow[1], best[1])
                else:
                    _keep_better(variance, flow, least, best)
                if step == steps:
                    break
                _covary(d, gx, mean, mean_x, side, radius, product, sums, with_x)
                _covary(d, gy, mean, mean_y, side, radius, product, sums, with_y)
                _step(longest, inverse[0], with_x, inverse[1], with_y, flow[0])
                _step(longest, inverse[2], with_y, inverse[1], with_x, flow[1])
            for c in range(2):
                _smooth(best[c], side, product, done[k, n, c])


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
        if len(target) == 2 * len(row):
            target[0], target[2 * last + 1] = row[0], row[last]
            for x in range(1, len(row)):
                a, step = row[x - 1], row[x] - row[x - 1]
                target[2 * x - 1], target[2 * x] = a + QUARTER * step, a + THREE_QUARTERS * step
            continue
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
def _second_differences(picture: Floats, across: Floats, down: Floats) -> None:
    """Along rows and columns of a picture, (H * W,) each; the border is repeated."""
    height, width = picture.shape
    p, last = picture.reshape(-1), height * width - 1
    for i in range(1, last):
        across[i] = p[i - 1] + p[i + 1] - TWO * p[i]
    for y in range(height):
        here, first = picture[y], y * width
        across[first] = here[min(1, width - 1)] - here[0]
        across[first + width - 1] = here[max(width - 2, 0)] - here[width - 1]
        above, below = picture[max(y - 1, 0)], picture[min(y + 1, height - 1)]
        row = down[first : first + width]
        for x in range(width):
            row[x] = above[x] + below[x] - TWO * here[x]


@part
def _blur_as_sampled(at: Floats, second: Floats, flow: Floats, done: Floats) -> None:
    """A picture with the blur that sampling between pixels gives its neighbours.

    ``second``: its second differences, (2, pixels), as the flow.
    """
    for i in range(len(at)):
        done[i] = at[i]
    for c in range(2):
        move, bend = flow[c], second[c]
        for i in range(len(at)):
            share = move[i] - np.floor(move[i])
            done[i] += HALF * (share * (ONE - share)) * bend[i]


@part
def _leave_inside(
    shape: tuple[int, int],
    columns: Floats,
    rows: Floats,
    flow: Floats,
    slack: float,
    inside: Floats,
) -> None:
    """Leave 1 where the place that a pixel of the picture moves to lies in it, and 0 elsewhere."""
    across, down = flow[0], flow[1]
    right, bottom = np.float32(shape[1] - 1) + slack, np.float32(shape[0] - 1) + slack
    for i in range(len(inside)):
        place = columns[i] + across[i]
        inside[i] = inside[i] if (place >= -slack) & (place <= right) else ZERO
    for i in range(len(inside)):
        place = rows[i] + down[i]
        inside[i] = inside[i] if (place >= -slack) & (place <= bottom) else ZERO


@part
def _sum_tiles(plane: Floats, width: int, tile: int, line: Floats, sums: Floats) -> None:
    """Sums over the tiles of a picture, down their columns and then across.

    ``line``: (W,), to work in; ``sums``: (rows, columns), becomes the result.
    """
    for row in range(len(sums)):
        _put(plane[row * tile * width :][:width], line)
        for y in range(row * tile + 1, (row + 1) * tile):
            here = plane[y * width :]
            for x in range(width):
                line[x] += here[x]
        for column in range(sums.shape[1]):
            total = ZERO
            for x in range(column * tile, (column + 1) * tile):
                total += line[x]
            sums[row, column] = total


@part
def _sum_products(
    plus: Floats, minus: Floats, width: int, tile: int, line: Floats, work: Floats, sums: Floats
) -> None:
    """Sums over tiles of ``[d+ d+, d- d-, d+ d-, d+ + d-]``."""
    _multiply(plus, plus, work)
    _sum_tiles(work, width, tile, line, sums[0])
    _multiply(minus, minus, work)
    _sum_tiles(work, width, tile, line, sums[1])
    _multiply(plus, minus, work)
    _sum_tiles(work, width, tile, line, sums[2])
    for i in range(len(work)):
        work[i] = plus[i] + minus[i]
    _sum_tiles(work, width, tile, line, sums[3])


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
    shape, pixels = (height, width), height * width
    columns, rows = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    inside, work = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    plus, minus = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    shares, places = np.empty((2, pixels), np.float32), np.empty(pixels, np.int32)
    second, line = np.empty((2, pixels), np.float32), np.empty(width, np.float32)
    _number(width, columns, rows)
    for n in range(pictures):
        ahead, behind = forward[n].reshape(2, -1), backward[n].reshape(2, -1)
        here = at[n].reshape(-1)
        _fill(inside, ONE)
        _leave_inside(shape, columns, rows, ahead, slack, inside)
        _leave_inside(shape, columns, rows, behind, slack, inside)
        _second_differences(at[n], second[0], second[1])
        _find_places(shape, columns, rows, ahead[0], ahead[1], shares, places)
        _sample(after[n], shares, places, 0, plus)
        _blur_as_sampled(here, second, ahead, work)
        for i in range(pixels):
            plus[i] = (plus[i] - work[i]) * inside[i]
        _find_places(shape, columns, rows, behind[0], behind[1], shares, places)
        _sample(before[n], shares, places, 0, minus)
        _blur_as_sampled(here, second, behind, work)
        for i in range(pixels):
            minus[i] = (work[i] - minus[i]) * inside[i]
        _sum_tiles(inside, width, tile, line, sums[n, 0])
        for i in range(pixels):
            work[i] = np.sqrt(ahead[0, i] * ahead[0, i] + ahead[1, i] * ahead[1, i])
        _sum_tiles(work, width, tile, line, sums[n, 1])
        _sum_products(plus, minus, width, tile, line, work, sums[n, 2:])


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
            _put(pictures[n, y], padded[radius:])
            _mirror(padded, radius)
            line = along[y]
            _fill(line, ZERO)
            for k in range(len(taps)):
                tap, shifted = taps[k], padded[k : k + width]
                for x in range(width):
                    line[x] += tap * shifted[x]
        for y in range(height):
            _fill(total, ZERO)
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
        v = places[x] - np.floor(places[x]) + ONE
        first[x] = ((a * v - five_a) * v + eight_a) * v - four_a
    for x in range(len(places)):
        t = places[x] - np.floor(places[x])
        second[x] = ((a + TWO) * t - (a + three)) * t * t + ONE
    for x in range(len(places)):
        u = ONE - (places[x] - np.floor(places[x]))
        third[x] = ((a + TWO) * u - (a + three)) * u * u + ONE
    for x in range(len(places)):
        fourth[x] = ONE - first[x] - second[x] - third[x]


@part
def _warp_row_cubic(
    picture: Floats, across: Floats, down: Floats, y: int, spare: Floats, row: Floats
) -> None:
    """One row of `warp`, bicubic; beyond the border the border is repeated. ``spare``: (11, W)."""
    height, width = picture.shape
    # From two pixels beyond the border on, all four samples are the border's.
    low, right, bottom = np.float32(-3), np.float32(width + 2), np.float32(height + 2)
    start = np.float32(y)
    px, py, places = spare[0], spare[1], spare[2].view(np.int32)
    for x in range(width):
        px[x] = max(low, min(right, np.float32(x) + across[x]))
    for x in range(width):
        py[x] = max(low, min(bottom, start + down[x]))
    last_x, last_y, line = np.int32(width - 3), np.int32(height - 3), np.int32(width)
    for x in range(width):
        ix, iy = np.int32(np.floor(px[x])), np.int32(np.floor(py[x]))
        inside = (ix >= 1) & (ix <= last_x) & (iy >= 1) & (iy <= last_y)
        places[x] = (iy - np.int32(1)) * line + ix - np.int32(1) if inside else np.int32(-1)
    _cubic(px, spare[3:7])
    _cubic(py, spare[7:11])
    x0, x1, x2, x3 = spare[3], spare[4], spare[5], spare[6]
    y0, y1, y2, y3 = spare[7], spare[8], spare[9], spare[10]
    samples = picture.reshape(-1)
    one, two, three, below = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(width)
    for x in range(width):
        p, q, r, s = y0[x], y1[x], y2[x], y3[x]
        if places[x] >= 0:
            # Unsigned, so that no index has to be looked at for being negative.
            i = np.uint64(np.uint32(places[x]))
            j, k, m = i + below, i + two * below, i + three * below
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
        left, top = int(np.floor(px[x])), int(np.floor(py[x]))
        total = ZERO
        for n, weight in enumerate((p, q, r, s)):
            near = picture[min(max(top - 1 + n, 0), height - 1)]
            a, b = near[min(max(left - 1, 0), width - 1)], near[min(max(left, 0), width - 1)]
            c, d = near[min(max(left + 1, 0), width - 1)], near[min(max(left + 2, 0), width - 1)]
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
def _warp_cubic(picture: Floats, flow: Floats, spare: Floats, moved: Floats) -> None:
    """As `warp`, of one picture, bicubic. ``spare``: (11, W)."""
    for y in range(len(picture)):
        _warp_row_cubic(picture, flow[0, y], flow[1, y], y, spare, moved[y])


@part
def _sum_detail(
    picture: Floats,
    inside: Floats,
    plus: Floats,
    moved: Floats,
    tile: int,
    line: Floats,
    beside: Floats,
    sums: Floats,
) -> None:
    """The seven sums of one picture, from its neighbours along the motion.

    Args:
        picture: (H, W).
        inside: (H * W,).
        plus: (H * W,), the next picture, becomes d+.
        moved: (H, W), the one before, becomes d-.
        tile: pixels.
        line: (W,), to work in.
        beside: (H, W), to work in.
        sums: (7, rows, columns), becomes the result.
    """
    height, width = picture.shape
    at, minus, work = picture.reshape(-1), moved.reshape(-1), beside.reshape(-1)
    for i in range(len(at)):
        plus[i] = (plus[i] - at[i]) * inside[i]
    for i in range(len(at)):
        minus[i] = (at[i] - minus[i]) * inside[i]
    for y in range(height):
        _beside(moved, y, beside[y])
    for i in range(len(at)):
        work[i] *= plus[i] * QUARTER
    _sum_tiles(work, width, tile, line, sums[0])
    for y in range(height):
        _beside(picture, y, beside[y])
    for i in range(len(at)):
        work[i] *= at[i] * inside[i] * QUARTER
    _sum_tiles(work, width, tile, line, sums[1])
    _sum_tiles(inside, width, tile, line, sums[2])
    _sum_products(plus, minus, width, tile, line, work, sums[3:])


@part
def _repeat(small: Floats, large: Floats) -> None:
    """The same in twice as many rows and columns."""
    height, width = small.shape
    for y in range(height):
        for i in range(2):
            for x in range(width):
                large[2 * y + i, 2 * x] = small[y, x]
                large[2 * y + i, 2 * x + 1] = small[y, x]


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
    small, pixels = (height // 2, width // 2), height * width // 4
    left, share = np.empty(width, np.int64), np.empty(width, np.float32)
    row, line = np.empty(small[1], np.float32), np.empty(width, np.float32)
    spare, motion = np.empty((11, width), np.float32), np.empty((2, height, width), np.float32)
    seen, inside = np.empty(pixels, np.float32), np.empty((height, width), np.float32)
    plus, minus = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    work = np.empty((height, width), np.float32)
    columns, rows = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    _places(width, small[1], left, share)
    _number(small[1], columns, rows)
    for n in range(pictures):
        ahead, behind = forward[n].reshape(2, -1), backward[n].reshape(2, -1)
        _fill(seen, ONE)
        _leave_inside(small, columns, rows, ahead, slack, seen)
        _leave_inside(small, columns, rows, behind, slack, seen)
        _repeat(seen.reshape(small), inside)
        for c in range(2):
            _enlarge_plane(forward[n, c], left, share, row, TWO, motion[c])
        _warp_cubic(after[n], motion, spare, plus)
        for c in range(2):
            _enlarge_plane(backward[n, c], left, share, row, TWO, motion[c])
        _warp_cubic(before[n], motion, spare, minus)
        _sum_detail(at[n], inside.reshape(-1), plus.reshape(-1), minus, tile, line, work, sums[n])
