"""Why a verdict is what it is, of rows with categories, dates or missing values."""

import numpy as np

from ocsdf.data.columns import CATEGORY_DISTANCE
from ocsdf.explanation.boundary import BoundaryPoints
from ocsdf.explanation.field import check_points
from ocsdf.explanation.shares import change_shares, feature_radii, gradient_shares
from ocsdf.explanation.swaps import boundary_by_swaps
from ocsdf.explanation.verdicts import Explanation, stretched_radii
from ocsdf.utils.threads import slices

_BATCH = 256


def explain_mixed(
    network, points, radius, encoder, values, *, level, units, index=None, track=iter
):
    """Explain the verdicts of encoded rows by their columns.

    `points` are in units of the certificate, `values` hold what the columns of the rows hold, and
    `units` and the rest are as for :func:`ocsdf.explanation.boundary.boundary_points` and
    :func:`ocsdf.explanation.verdicts.explain`. A feature is a column: shares are those of all its
    coordinates, and ``feature_radii`` are in its units (microseconds of dates); of categories
    infinite where no other category alone flips the verdict, 0 where that is not certified, and NaN
    where a value is missing.
    """
    points = check_points(network, points)
    columns, places = encoder.columns_, encoder.places_
    first = np.array([at.start for at in places])
    is_missing = np.array([[value is None for value in row] for row in values], dtype=bool).reshape(
        len(points), len(columns)
    )
    codes = [
        (at.start, len(column.categories) + 1)
        for column, at in zip(columns, places, strict=True)
        if column.kind == "category"
    ]
    whole = np.zeros(points.shape[1], bool)
    whole[first] = [column.kind == "date" for column in columns]

    found = BoundaryPoints(
        np.full(points.shape, np.nan),
        np.full(len(points), np.inf),
        np.zeros(len(points), bool),
        np.full(points.shape, np.nan),
    )
    patterns, of_row = np.unique(is_missing, axis=0, return_inverse=True)
    batches = [
        (pattern, rows[batch])
        for place, pattern in enumerate(patterns)
        for rows in [np.flatnonzero(of_row.ravel() == place)]
        for batch in slices(len(rows), _BATCH)
    ]
    for pattern, rows in track(batches or [(np.zeros(len(columns), bool), np.arange(0))]):
        # Missingness is held: a missing number stays at the median.
        is_held = encoder.is_code_.copy()
        is_held[first[pattern]] = True
        part = boundary_by_swaps(
            network, points[rows], level, units, is_held=is_held, codes=codes, whole=whole
        )
        for whole_of, one in zip(found, part, strict=True):
            whole_of[rows] = one

    shares = np.where(
        found.converged[:, None],
        change_shares(points, found.points),
        _number_shares(network, points, encoder.is_code_),
    )
    return Explanation(
        radius=np.asarray(radius, dtype=np.float64),
        distance=found.distance,
        boundary=_changed(encoder, points, found, values),
        converged=found.converged,
        shares=np.add.reduceat(shares, first, axis=1),
        feature_radii=_column_radii(points, radius, encoder, is_missing, units),
        rows=values,
        normal=network.score(points) >= level,
        feature_names=tuple(column.name for column in columns),
        index=range(len(points)) if index is None else index,
    )


def _number_shares(network, points, is_code):
    """Split the slope of f among the numbers; zeros where it is null."""
    shares = np.where(is_code, 0.0, gradient_shares(network, points))
    sums = shares.sum(axis=1, keepdims=True)
    return shares / np.where(sums > 0.0, sums, 1.0)


def _changed(encoder, points, found, values):
    """The columns of boundary points: the row's own values where they did not change."""
    decoded = encoder.decode(found.rows)
    starts = [at.start for at in encoder.places_]
    same = np.logical_and.reduceat(found.points == points, starts, axis=1)
    boundary = np.where(same, values, decoded)
    boundary[~found.converged] = np.nan
    return boundary


def _column_radii(points, radius, encoder, is_missing, units):
    """How far each column may change alone."""
    mean, scale, stretched = units
    axes = feature_radii(radius, scale)
    if stretched is not None:
        standardized = stretched.inverse(points)
        axes = stretched_radii(axes / scale, points, standardized, stretched) * scale
    axes = axes[:, [at.start for at in encoder.places_]]
    is_category = np.array([column.kind == "category" for column in encoder.columns_])
    certified = np.asarray(radius) > np.nextafter(CATEGORY_DISTANCE, np.inf)
    axes[:, is_category] = np.where(certified, np.inf, 0.0)[:, np.newaxis]
    return np.where(is_missing, np.nan, axes)
