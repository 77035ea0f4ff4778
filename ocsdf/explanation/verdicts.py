"""Why a verdict is what it is: how far the boundary is, where, and which features lead there.

Distances are l2 in certificate units, in which a change of feature j counts as the raw change
divided by the feature's scale, stretched as the detector says. What is in raw units says so.
"""

from typing import NamedTuple

import numpy as np

from ocsdf.explanation.boundary import BoundaryPoints, boundary_points
from ocsdf.explanation.field import check_points
from ocsdf.explanation.reasons import reasons_frame, sentences
from ocsdf.explanation.shares import change_shares, feature_radii, gradient_shares
from ocsdf.explanation.sparse import sparse_boundary_points
from ocsdf.utils.checks import check_radii
from ocsdf.utils.threads import slices

_BATCH = 2048


class Explanation(NamedTuple):
    """What decides the verdict of each row.

    Attributes
    ----------
    radius : ndarray of shape (n,)
        Certified, in units of the certificate: the boundary is nowhere nearer.
    distance : ndarray of shape (n,)
        To the boundary point, in certificate units: the boundary is no farther. Infinite where
        not converged.
    boundary : ndarray of shape (n, n_features)
        Boundary points in raw units: as float64 holds them, rows with the other verdict, by a
        hair. NaN where not converged.
    converged : ndarray of shape (n,), bool
        Whether a boundary point was found.
    shares : ndarray of shape (n, n_features)
        What each feature has in the change to the boundary point, see :func:`change_shares`; where
        not converged, in the slope of f, see :func:`gradient_shares`.
    feature_radii : ndarray of shape (n, n_features)
        Raw units: no change of this feature alone by less flips the verdict. Where features are
        stretched, the way to either side is measured by the inverse of the map.
    rows : ndarray of shape (n, n_features)
        The rows in question, raw units.
    normal : ndarray of shape (n,), bool
        Their verdicts.
    feature_names : sequence of str
    index : sequence
        What the rows are called: their places, or the labels of a data frame.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from ocsdf import OCSDF
    >>> X = load_wine(as_frame=True).data
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(X[:50])
    >>> explanation = detector.explain(X[100:102])
    >>> explanation.normal, explanation.shares.sum(axis=1).round(6)
    (array([False, False]), array([1., 1.]))
    >>> explanation.to_frame(top=1).shape[0]
    4
    """

    radius: np.ndarray
    distance: np.ndarray
    boundary: np.ndarray
    converged: np.ndarray
    shares: np.ndarray
    feature_radii: np.ndarray
    rows: np.ndarray
    normal: np.ndarray
    feature_names: tuple
    index: object

    def take(self, row):
        """Return the explanation of one row alone.

        Parameters
        ----------
        row : int
            Its place among the rows.

        Returns
        -------
        Explanation
        """
        place = range(len(self.radius))[row]
        alone = {
            name: getattr(self, name)[place : place + 1]
            for name in self._fields
            if name != "feature_names"
        }
        return self._replace(**alone)

    def to_frame(self, top=5):
        """Write the reasons as a table; see :func:`ocsdf.explanation.reasons.reasons_frame`.

        Parameters
        ----------
        top : int, default=5
            Features a row, those of the largest shares.

        Returns
        -------
        pandas.DataFrame
        """
        return reasons_frame(self, top)

    def sentences(self, top=2):
        """Say the reasons, a line a row; see :func:`ocsdf.explanation.reasons.sentences`.

        Parameters
        ----------
        top : int, default=2
            Features that are named.

        Returns
        -------
        list of str
        """
        return sentences(self, top)


class VerdictCounts(NamedTuple):
    """How many rows keep their verdict under any change of l2 norm up to each radius.

    Attributes
    ----------
    radii : ndarray of shape (n_radii,)
    normal : ndarray of shape (n_radii,), int
        Certified normal.
    anomalous : ndarray of shape (n_radii,), int
        Certified anomalous.
    uncertified : ndarray of shape (n_radii,), int
        The rest.

    Examples
    --------
    >>> from ocsdf.explanation import verdict_counts
    >>> verdict_counts([0.1, 0.4, 0.6], [1, 1, -1], eps=0.2).uncertified
    array([1])
    """

    radii: np.ndarray
    normal: np.ndarray
    anomalous: np.ndarray
    uncertified: np.ndarray


def explain(
    network,
    points,
    radius,
    *,
    level=0.0,
    mean=0.0,
    scale=1.0,
    stretched=None,
    domain=None,
    within=None,
    feature_names=None,
    index=None,
    sparse=False,
    track=iter,
):
    """Explain the verdicts of rows.

    Parameters
    ----------
    network : CertifiedNetwork
    points : ndarray of shape (n, n_features)
        Standardized rows, ``(X - mean) / scale``, as `stretched` maps them.
    radius : ndarray of shape (n,)
        Certified radii of the rows, units of the certificate.
    level : float, default=0.0
        Score at the boundary of the verdict.
    mean, scale : float or ndarray of shape (n_features,)
        What the rows were standardized with.
    stretched : Piecewise or None, default=None
        What standardized rows were stretched by then; None where they were not.
    domain : Box or Ball, default=None
        As for :func:`ocsdf.explanation.boundary.boundary_points`.
    within : Box or Ball, default=None
        A convex set, in units of the certificate, that boundary points may not leave.
    feature_names : sequence of str or None, default=None
        None names them x0, x1, ...
    index : sequence or None, default=None
        What the rows are called; None counts them from 0.
    sparse : bool, default=False
        Boundary points that move few features in place of the nearest ones found, see
        :func:`ocsdf.explanation.sparse.sparse_boundary_points`.
    track : callable, default=iter
        Called with a list of batches of rows, which are explained as its iterator hands them out.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        As :func:`ocsdf.explanation.boundary.boundary_points` and :func:`feature_radii`, or if
        there is not one radius a row.

    Examples
    --------
    A feature's share is that of its square in the squared distance to the boundary point:

    >>> import numpy as np
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.explanation import explain
    >>> from ocsdf.operations import Chain, Dense
    >>> network = CertifiedNetwork(Chain([Dense(np.array([[0.6], [0.8]]), np.zeros(1))], (2,)))
    >>> explanation = explain(network, np.array([[3.0, 4.0]]), radius=np.array([4.9]))
    >>> explanation.shares.round(2), explanation.distance.round(4)
    (array([[0.36, 0.64]]), array([5.]))
    """
    points = check_points(network, points)
    if np.shape(radius) != (len(points),):
        raise ValueError(
            f"radius must hold {len(points)} numbers, one a row; got shape {np.shape(radius)}."
        )
    scale = np.broadcast_to(scale, points.shape[1:])
    axes = feature_radii(radius, scale)
    standardized = points
    if stretched is not None:
        standardized = stretched.inverse(points)
        axes = stretched_radii(axes / scale, points, standardized, stretched) * scale
    units = np.asarray(mean), scale, stretched

    def across(rows):
        found = boundary_points(network, rows, level, domain, within=within, units=units)
        if not sparse:
            return found
        return sparse_boundary_points(network, rows, found, level, within=within, units=units)

    batches = track(list(slices(len(points), _BATCH)) or [slice(0)])
    parts = [across(points[batch]) for batch in batches]
    found = BoundaryPoints(*map(np.concatenate, zip(*parts, strict=True)))
    shares = np.where(
        found.converged[:, None],
        change_shares(points, found.points),
        gradient_shares(network, points),
    )
    return Explanation(
        radius=np.asarray(radius, dtype=np.float64),
        distance=found.distance,
        boundary=found.rows,
        converged=found.converged,
        shares=shares,
        feature_radii=axes,
        rows=standardized * scale + mean,
        normal=network.score(points) >= level,
        feature_names=tuple(
            [f"x{feature}" for feature in range(points.shape[1])]
            if feature_names is None
            else map(str, feature_names)
        ),
        index=range(len(points)) if index is None else index,
    )


def stretched_radii(radius, points, standardized, stretched):
    """Return how far a standardized feature may change alone within radii of its image."""
    reach = np.minimum(
        standardized - stretched.inverse(points - radius),
        stretched.inverse(points + radius) - standardized,
    )
    # What the inverse rounds is far below this share of a feature's range.
    return np.maximum(0.0, reach - 2.0**-40 * (1.0 + np.abs(standardized)))


def verdict_counts(radius, verdicts, eps):
    r"""Count the verdicts that no change of l2 norm up to each eps can flip: those with r > eps.

    Parameters
    ----------
    radius : array-like of shape (n,)
        Certified radii r of the rows.
    verdicts : array-like of shape (n,)
        +1 for normal, -1 for anomalous.
    eps : float or array-like of shape (n_radii,)
        In the units of the radii.

    Returns
    -------
    VerdictCounts
        At each eps the three counts sum to n.

    Raises
    ------
    ValueError
        If radii or eps are negative or NaN, or verdicts are not +1 and -1, one a radius.

    Examples
    --------
    >>> from ocsdf.explanation import verdict_counts
    >>> counts = verdict_counts([0.1, 0.4, 0.6], [1, 1, -1], eps=[0.0, 0.2, 0.5])
    >>> counts.normal, counts.anomalous, counts.uncertified
    (array([2, 1, 0]), array([1, 1, 1]), array([0, 1, 2]))
    """
    radius, eps = check_radii(radius, "radius"), check_radii(eps, "eps")
    verdicts = np.asarray(verdicts)
    if verdicts.shape != radius.shape or not np.isin(verdicts, (-1, 1)).all():
        raise ValueError(
            f"verdicts must be +1 or -1, one for each of {len(radius)} radii; got shape "
            f"{verdicts.shape} with values {np.unique(verdicts)[:5]}."
        )
    normal, anomalous = (
        (radius[verdicts == verdict] > eps[:, None]).sum(axis=1) for verdict in (1, -1)
    )
    return VerdictCounts(eps, normal, anomalous, len(radius) - normal - anomalous)
