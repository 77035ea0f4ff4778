"""Quadrics around points blended to one signed distance, on the blocks of a grid near them."""

import numpy as np

from ocsdf.utils.compiled import compiled

# Reach of a point in standard deviations of its weight; how far normals that take part may look
# apart; and the weight of the far distance.
_REACH, _NORMALS, _FAR = 3.0, 0.8, 0.04


@compiled
def mark_blocks(places, reaches, blocks):
    """Mark with 1 the blocks that points reach; places are in sides of a block."""
    for i in range(len(places)):
        low, high = _range(places[i], reaches[i], 1.0, blocks.shape)
        for x in range(low[0], high[0] + 1):
            for y in range(low[1], high[1] + 1):
                for z in range(low[2], high[2] + 1):
                    blocks[x, y, z] = 1


@compiled
def _range(place, reach, whole, shape):
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for a in range(3):
        low[a] = max(0, int(np.floor((place[a] - reach) / whole)))
        high[a] = min(shape[a] - 1, int(np.floor((place[a] + reach) / whole)))
    return low, high


@compiled
def blend(places, frames, curvatures, widths, blocks, cells, values, weights):
    r"""Blend the signed distances to quadrics at the vertices of blocks.

    .. math:: f(x) = \frac{\sum_i w_i(x) q_i(x)}{\sum_i w_i(x)}, \qquad
        w_i = e^{-\|x - p_i\|^2 / 2 s_i^2} e^{-\|n_i - N(x)\|^2 / 0.8^2}

    where :math:`q_i` is minus the height above the quadric of point i over its slope, and N the
    direction of the normals' mean by the first factor alone: points on the far side of a thin
    sheet, or of an edge, take no part (after Oeztireli et al., 2009). Lengths are in cells,
    `blocks` holds each block's number or -1, and numerator and denominator of f are added to
    `values` and `weights`.
    """
    means = np.zeros((*values.shape, 3), np.float32)
    end = np.exp(-0.5 * _REACH**2)
    for turn in range(2):
        for i in range(len(places)):
            reach, narrow = _REACH * widths[i], 0.5 / widths[i] ** 2
            px, py, pz = places[i]
            low_x, high_x = _vertices(px, reach, cells * blocks.shape[0])
            low_y, high_y = _vertices(py, reach, cells * blocks.shape[1])
            for x in range(low_x, high_x):
                for y in range(low_y, high_y):
                    flat = (x - px) ** 2 + (y - py) ** 2
                    if flat > reach * reach:
                        continue
                    half = np.sqrt(reach * reach - flat)
                    low_z, high_z = _vertices(pz, half, cells * blocks.shape[2])
                    for z in range(low_z, high_z):
                        block = blocks[x // cells, y // cells, z // cells]
                        if block < 0:
                            continue
                        weight = np.exp(-(flat + (z - pz) ** 2) * narrow) - end
                        mean = means[block, x % cells, y % cells, z % cells]
                        if turn == 0:
                            for a in range(3):
                                mean[a] += weight * frames[i, a, 0]
                        else:
                            offset = (x - px, y - py, z - pz)
                            weight *= _agreement(mean, frames[i])
                            height = _height(offset, frames[i], curvatures[i])
                            values[block, x % cells, y % cells, z % cells] -= weight * height
                            weights[block, x % cells, y % cells, z % cells] += weight


@compiled
def _vertices(place, reach, n_vertices):
    """Return the range of vertices within reach of a place along an axis."""
    return max(0, int(np.ceil(place - reach))), min(n_vertices, int(np.floor(place + reach)) + 1)


@compiled
def _agreement(mean, frame):
    length, along = 1e-24, 0.0
    for a in range(3):
        length += mean[a] * mean[a]
        along += mean[a] * frame[a, 0]
    return np.exp(-2.0 * (1.0 - along / np.sqrt(length)) / _NORMALS**2)


@compiled
def _height(offset, frame, curvature):
    height, u, v = 0.0, 0.0, 0.0
    for a in range(3):
        height += offset[a] * frame[a, 0]
        u += offset[a] * frame[a, 1]
        v += offset[a] * frame[a, 2]
    by_u = curvature[0] * u + curvature[1] * v
    by_v = curvature[1] * u + curvature[2] * v
    return (height - 0.5 * (by_u * u + by_v * v)) / np.sqrt(1.0 + by_u**2 + by_v**2)


@compiled
def join(corners, cells, far, side, clear, values, weights):
    """Turn the sums of :func:`blend` into a distance that goes over to the far one out of reach.

    `far` is the far distance at the corners of blocks, and `side` that of a cell. Values nearer to
    0 than `clear` are moved away to it, so that no two vertices of a mesh coincide; `values` are
    written.
    """
    for b in range(len(corners)):
        for x in range(cells):
            for y in range(cells):
                for z in range(cells):
                    beyond = 0.0
                    for corner in range(8):
                        weight, i, j, k = 1.0, corner >> 2, corner >> 1 & 1, corner & 1
                        weight *= x / cells if i else 1.0 - x / cells
                        weight *= y / cells if j else 1.0 - y / cells
                        weight *= z / cells if k else 1.0 - z / cells
                        if weight > 0.0:
                            place = corners[b]
                            beyond += weight * far[place[0] + i, place[1] + j, place[2] + k]
                    value = values[b, x, y, z] * side + _FAR * beyond
                    value /= weights[b, x, y, z] + _FAR
                    if abs(value) < clear:
                        value = clear if value >= 0.0 else -clear
                    values[b, x, y, z] = value


@compiled
def fill_brick(first, cells, blocks, values, far, brick):
    """Write the values of a cube of vertices; returns whether both signs are among them.

    The cube begins at the vertex `first`, in cells. Where there is no block the sign of `far`
    stands, and what is beyond the blocks is outside.
    """
    size = brick.shape[0]
    inside, outside = False, False
    for x in range(size):
        i, p = divmod(first[0] + x, cells)
        for y in range(size):
            j, q = divmod(first[1] + y, cells)
            for z in range(size):
                k, r = divmod(first[2] + z, cells)
                value = np.float32(-1.0)
                if i < blocks.shape[0] and j < blocks.shape[1] and k < blocks.shape[2]:
                    block = blocks[i, j, k]
                    value = far[i, j, k] if block < 0 else values[block, p, q, r]
                brick[x, y, z] = value
                inside |= value > 0.0
                outside |= value <= 0.0
    return inside and outside
