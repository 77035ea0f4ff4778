"""Arrays that evaluations write to, and products in whole blocks."""

import numpy as np

# Rows and columns of the blocks that matrix products are cut into.
_ROWS, _COLUMNS = 16, 32


class Scratch:
    """Arrays that the operations of one chain write to: fresh memory takes as long as a product.

    One thread and one chain has it to itself; a member of an ensemble has its own.
    """

    def __init__(self):
        self._pairs, self._members = {}, {}

    def beside(self, values, shape):
        """Return an array of a shape that shares no memory with `values`."""
        if shape not in self._pairs:
            self._pairs[shape] = np.empty(shape), np.empty(shape)
        first, second = self._pairs[shape]
        return second if np.may_share_memory(values, first) else first

    def own(self, values):
        """Return `values` if they lie here, else a copy of them that does."""
        if any(values is array for array in self._pairs.get(values.shape, ())):
            return values
        copy = self.beside(values, values.shape)
        np.copyto(copy, values)
        return copy

    def product(self, values, matrix, width):
        """Multiply rows with a matrix of :func:`whole_blocks`, of whose columns `width` are meant.

        Equal rows get equal bits wherever they stand, with the kernels that BLAS is known to have:
        their rounding depends on the place of a row that is left over from whole blocks.
        """
        n_rows = len(values)
        left_over = -n_rows % _ROWS
        if left_over:
            filled = self.beside(values, (n_rows + left_over, values.shape[1]))
            filled[:n_rows], filled[n_rows:] = values, 0.0
            values = filled
        products = self.beside(values, (len(values), matrix.shape[1]))
        np.matmul(values, matrix, out=products)
        if left_over or width != matrix.shape[1]:
            # In one piece, as sorts in place need it.
            found = self.beside(products, (n_rows, width))
            np.copyto(found, products[:n_rows, :width])
            return found
        return products

    def of_member(self, number):
        """Return the arrays of a member, which share no memory with these."""
        return self._members.setdefault(number, Scratch())


def whole_blocks(matrix):
    """Return a matrix with columns of zeros added, for :meth:`Scratch.product`."""
    return np.pad(matrix, [(0, 0), (0, -matrix.shape[1] % _COLUMNS)])
