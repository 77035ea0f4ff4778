"""The winding number of oriented points on a grid, by fast Fourier transforms."""

import numpy as np
from scipy import fft

from ocsdf.utils.compiled import compiled

# The grid's box in sizes of the cloud, and the least border in its longest side.
_MARGIN, _BORDER = 1.35, 0.15
# Standard deviation, in cells, of the Gaussian by which the points are spread.
_SPREAD = 1.0


class WindingGrid:
    r"""Linear map from vectors at points to their winding number on a grid of cubic cells.

    .. math:: w = G * \nabla \cdot \sum_i \mu_i \delta_{p_i}, \qquad -\Delta G = \delta,

    is 1 inside and 0 outside a closed surface where :math:`\mu_i` is the outward normal at
    :math:`p_i` times the area that the point stands for. Points are spread over about a cell of the
    `n_cells` along the longest side; the box is periodic, and w is 0 on average on its faces.
    """

    def __init__(self, points, n_cells=128):
        lowest, highest = points.min(axis=0), points.max(axis=0)
        extents = highest - lowest
        sides = np.maximum(_MARGIN * extents, extents + 2.0 * _BORDER * extents.max())
        self.side = float(sides.max() / n_cells)
        self.shape = tuple(fft.next_fast_len(int(np.ceil(s / self.side)), True) for s in sides)
        self.lower = (lowest + highest) / 2.0 - self.side * np.array(self.shape) / 2.0
        self._cells, self._shares = self._place(points)
        waves = [2.0 * np.pi * np.fft.fftfreq(n) for n in self.shape[:2]]
        waves.append(2.0 * np.pi * np.fft.rfftfreq(self.shape[2]))
        waves = np.meshgrid(*waves, indexing="ij", sparse=True)
        squares = sum(wave**2 for wave in waves)
        squares[0, 0, 0] = np.inf
        self._green = (np.exp(-0.5 * _SPREAD**2 * squares) / squares).astype(np.float32)
        self._derivatives = [(1j * wave).astype(np.complex64) for wave in waves]
        inner = np.zeros([n - 2 for n in self.shape], dtype=bool)
        self._faces = np.pad(inner, 1, constant_values=True)

    def on_grid(self, vectors):
        """Return w on the grid's vertices, float32, of vectors in squared sides of a cell."""
        spread = np.zeros((3, *self.shape), dtype=np.float32)
        _spread(self._cells, self._shares, vectors, spread)
        waves = fft.rfftn(spread, axes=(1, 2, 3))
        flux = sum(d * wave for d, wave in zip(self._derivatives, waves, strict=True))
        winding = fft.irfftn(self._green * flux, s=self.shape)
        return winding - winding[self._faces].mean()

    def at_points(self, vectors):
        """Return w at the points themselves: ndarray of shape (n_points,)."""
        return _read(self._cells, self._shares, self.on_grid(vectors)[np.newaxis])[:, 0]

    def transposed(self, weights):
        """Return the transposed map of numbers at points: ndarray of shape (n_points, 3)."""
        spread = np.zeros((1, *self.shape), dtype=np.float32)
        _spread(self._cells, self._shares, weights[:, np.newaxis], spread)
        spread = spread[0]
        spread[self._faces] -= spread.sum() / np.count_nonzero(self._faces)
        waves = fft.rfftn(spread) * self._green
        flux = np.stack([-derivative * waves for derivative in self._derivatives])
        return _read(
            self._cells, self._shares, fft.irfftn(flux, s=self.shape, axes=(1, 2, 3))
        ).astype(np.float64)

    def interpolate(self, values, points):
        """Interpolate values on the grid linearly at points in the box: ndarray of shape (n,)."""
        return _read(*self._place(points), values[np.newaxis])[:, 0]

    def _place(self, points):
        places = np.clip((points - self.lower) / self.side, 0.0, np.array(self.shape) - 1.001)
        cells = np.floor(places).astype(np.int64)
        return cells, places - cells


def solve(grid, areas, target, n_steps, ridge, tolerance=0.0):
    r"""Find vectors of least size whose winding number at the points is as wanted.

    Conjugate gradients solve :math:`(A D A^T + \rho I) \xi = b`, with A the grid, b the target and
    areas D in squared sides of a cell; the vectors are :math:`D A^T \xi` (parametric Gauss
    reconstruction, Lin et al., 2022). `ridge` is rho in units of the mean of A D A^T 1, and the
    steps end at `n_steps`, or where the residual's norm is a share `tolerance` of its first.
    """
    areas = areas[:, np.newaxis]
    ones = grid.at_points(areas * grid.transposed(np.ones(len(target))))
    ridge = ridge * float(np.abs(ones).mean())
    solution, residual = np.zeros(len(target)), np.asarray(target, dtype=np.float64)
    direction, square = residual, residual @ residual
    enough = tolerance**2 * square
    for _ in range(n_steps):
        if square <= enough:
            break
        image = grid.at_points(areas * grid.transposed(direction)) + ridge * direction
        step = square / (direction @ image)
        solution = solution + step * direction
        residual = residual - step * image
        square, before = residual @ residual, square
        direction = residual + square / before * direction
    return areas * grid.transposed(solution)


@compiled
def _corner(cell, shares, corner, place):
    """Write where a corner of a cell is, and return its weight for the point in the cell."""
    weight = 1.0
    for a in range(3):
        bit = corner >> a & 1
        weight *= shares[a] if bit else 1.0 - shares[a]
        place[a] = cell[a] + bit
    return weight


@compiled
def _spread(cells, shares, values, grid):
    place = np.empty(3, np.int64)
    for i in range(len(cells)):
        for corner in range(8):
            weight = _corner(cells[i], shares[i], corner, place)
            for a in range(values.shape[1]):
                grid[a, place[0], place[1], place[2]] += weight * values[i, a]


@compiled
def _read(cells, shares, grid):
    values, place = np.zeros((len(cells), grid.shape[0])), np.empty(3, np.int64)
    for i in range(len(cells)):
        for corner in range(8):
            weight = _corner(cells[i], shares[i], corner, place)
            for a in range(grid.shape[0]):
                values[i, a] += weight * grid[a, place[0], place[1], place[2]]
    return values
