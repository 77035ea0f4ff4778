"""Nearest points of triangles, and rays through them: compiled, in float64."""

import numpy as np

from ocsdf.utils.compiled import compiled

# Triangles of a leaf of the tree of boxes, and levels that a stack holds.
_LEAF, _STACK = 6, 256
# A side of a triangle that a ray passes nearer than this share of its size is not decided.
_UNSURE = 2.0**-46


@compiled
def build_boxes(triangles):
    """Sort triangles into a binary tree of boxes, halved along the longest axis of centres.

    Returned are the order, the boxes' lower and upper corners, the first of which holds all
    triangles, and the nodes: the first of two children that follow each other, or -1, and the range
    in the order.
    """
    n = len(triangles)
    centers = np.empty((n, 3))
    for i in range(n):
        for a in range(3):
            centers[i, a] = (triangles[i, 0, a] + triangles[i, 1, a] + triangles[i, 2, a]) / 3.0
    order = np.arange(n)
    boxes, nodes = np.empty((2 * n, 2, 3)), np.full((2 * n, 3), -1, np.int64)
    nodes[0, 1], nodes[0, 2] = 0, n
    n_boxes, done = 1, 0
    while done < n_boxes:
        start, stop = nodes[done, 1], nodes[done, 2]
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        boxes[done, 0], boxes[done, 1] = low, high
        for i in order[start:stop]:
            for a in range(3):
                low[a], high[a] = min(low[a], centers[i, a]), max(high[a], centers[i, a])
                for corner in range(3):
                    value = triangles[i, corner, a]
                    boxes[done, 0, a] = min(boxes[done, 0, a], value)
                    boxes[done, 1, a] = max(boxes[done, 1, a], value)
        if stop - start > _LEAF:
            part = order[start:stop]
            order[start:stop] = part[np.argsort(centers[part, np.argmax(high - low)])]
            middle = (start + stop) // 2
            nodes[done, 0] = n_boxes
            nodes[n_boxes, 1], nodes[n_boxes, 2] = start, middle
            nodes[n_boxes + 1, 1], nodes[n_boxes + 1, 2] = middle, stop
            n_boxes += 2
        done += 1
    return order, boxes[:n_boxes], nodes[:n_boxes]


@compiled
def find_nearest(queries, triangles, order, boxes, nodes, distances, faces, places):
    """Measure from queries to the nearest triangle, and say which it is and where on it.

    The tree is that of :func:`build_boxes`; `distances`, `faces` and `places` are written, the last
    with the shares of the triangle's second and third corner in its nearest point.
    """
    stack, bounds, face = np.empty(_STACK, np.int64), np.empty(_STACK), 0
    for i in range(len(queries)):
        # The face of the query before is near this one, too, where queries follow each other.
        query = queries[i]
        best, places[i, 0], places[i, 1] = _to_triangle(query, triangles[face])
        stack[0], bounds[0], top = 0, _to_box(query, boxes[0]), 1
        while top > 0:
            top -= 1
            node = stack[top]
            if bounds[top] >= best:
                continue
            child = nodes[node, 0]
            if child < 0:
                for t in order[nodes[node, 1] : nodes[node, 2]]:
                    square, p, q = _to_triangle(query, triangles[t])
                    if square < best:
                        best, face, places[i, 0], places[i, 1] = square, t, p, q
                continue
            first, second = _to_box(query, boxes[child]), _to_box(query, boxes[child + 1])
            near = 0 if first <= second else 1
            # The nearer child is looked at first.
            stack[top], bounds[top] = child + 1 - near, max(first, second)
            stack[top + 1], bounds[top + 1] = child + near, min(first, second)
            top += 2
        distances[i], faces[i] = np.sqrt(best), face


@compiled
def _to_box(query, box):
    square = 0.0
    for a in range(3):
        gap = max(box[0, a] - query[a], 0.0, query[a] - box[1, a])
        square += gap * gap
    return square


@compiled
def _to_triangle(query, triangle):
    """Return the squared distance to points of the three sides and, over the middle, of the face.

    Each is a point of the triangle whatever is rounded, so that no distance comes out too small.
    Returned with it are the shares of the second and third corner in that point.
    """
    best, second, third = np.inf, 0.0, 0.0
    for corner in range(3):
        start, stop = triangle[corner], triangle[(corner + 1) % 3]
        along, length = 0.0, 0.0
        for a in range(3):
            along += (query[a] - start[a]) * (stop[a] - start[a])
            length += (stop[a] - start[a]) ** 2
        share = min(max(along / length, 0.0), 1.0) if length > 0.0 else 0.0
        square = 0.0
        for a in range(3):
            square += (query[a] - start[a] - share * (stop[a] - start[a])) ** 2
        if square < best:
            best = square
            second = (1.0 - share) * (corner == 1) + share * (corner == 0)
            third = (1.0 - share) * (corner == 2) + share * (corner == 1)
    uu, uv, vv, ux, vx = 0.0, 0.0, 0.0, 0.0, 0.0
    for a in range(3):
        u, v = triangle[1, a] - triangle[0, a], triangle[2, a] - triangle[0, a]
        x = query[a] - triangle[0, a]
        uu += u * u
        uv += u * v
        vv += v * v
        ux += u * x
        vx += v * x
    area = uu * vv - uv * uv
    if area > 0.0:
        p, q = (vv * ux - uv * vx) / area, (uu * vx - uv * ux) / area
        if p > 0.0 and q > 0.0 and p + q < 1.0:
            square = 0.0
            for a in range(3):
                u, v = triangle[1, a] - triangle[0, a], triangle[2, a] - triangle[0, a]
                square += (query[a] - triangle[0, a] - p * u - q * v) ** 2
            if square < best:
                best, second, third = square, p, q
    return best, second, third


@compiled
def cross_rays(origins, directions, triangles, order, boxes, nodes, counts, first):
    """Count the triangles that rays cross, and measure to the first of them.

    Written are `counts`, -1 where a ray passes too near to a side of a triangle for rounding to
    decide, and `first`, in lengths of the direction, infinity where nothing is crossed.
    """
    stack = np.empty(_STACK, np.int64)
    for i in range(len(origins)):
        origin, direction = origins[i], directions[i]
        count, nearest, sure = 0, np.inf, True
        stack[0], top = 0, 1
        while top > 0:
            top -= 1
            node = stack[top]
            if not _meets_box(origin, direction, boxes[node]):
                continue
            if nodes[node, 0] >= 0:
                stack[top], stack[top + 1] = nodes[node, 0], nodes[node, 0] + 1
                top += 2
                continue
            for t in order[nodes[node, 1] : nodes[node, 2]]:
                crosses, at = _crossing(origin, direction, triangles[t])
                if crosses < 0:
                    sure = False
                elif crosses and at > 0.0:
                    count += 1
                    nearest = min(nearest, at)
        counts[i], first[i] = count if sure else -1, nearest


@compiled
def _meets_box(origin, direction, box):
    enter, leave = 0.0, np.inf
    for a in range(3):
        if direction[a] == 0.0:
            if origin[a] < box[0, a] or origin[a] > box[1, a]:
                return False
            continue
        low = (box[0, a] - origin[a]) / direction[a]
        high = (box[1, a] - origin[a]) / direction[a]
        # A box that rounding would miss is entered.
        enter = max(enter, min(low, high) * (1.0 - 1e-14) - 1e-300)
        leave = min(leave, max(low, high) * (1.0 + 1e-14) + 1e-300)
    return enter <= leave


@compiled
def _crossing(origin, direction, triangle):
    """Return 1, 0 or -1 (not sure) for a line, and where along it the triangle is."""
    offsets, scale = np.empty((3, 3)), 0.0
    for corner in range(3):
        for a in range(3):
            offsets[corner, a] = triangle[corner, a] - origin[a]
            scale = max(scale, abs(offsets[corner, a]))
    size = max(abs(direction[0]), abs(direction[1]), abs(direction[2]))
    unsure = _UNSURE * scale * scale * size
    above, below, sides = 0, 0, np.empty(3)
    for corner in range(3):
        u, v = offsets[(corner + 1) % 3], offsets[(corner + 2) % 3]
        side = direction[0] * (u[1] * v[2] - u[2] * v[1])
        side += direction[1] * (u[2] * v[0] - u[0] * v[2])
        side += direction[2] * (u[0] * v[1] - u[1] * v[0])
        sides[corner] = side
        above += side > unsure
        below += side < -unsure
    if above and below:
        return 0, np.inf
    if above < 3 and below < 3:
        return -1, np.inf
    total = sides[0] + sides[1] + sides[2]
    at = 0.0
    for a in range(3):
        hit = sides[0] * offsets[0, a] + sides[1] * offsets[1, a] + sides[2] * offsets[2, a]
        at += hit / total * direction[a]
    return 1, at / (direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
