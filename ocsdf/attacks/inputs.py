"""What is attacked: a detector in the units of its rows, or a network in its own."""

from typing import NamedTuple

import numpy as np

from ocsdf.utils.checks import check_number, check_rows


class Subject(NamedTuple):
    """A network under attack, and the detector that it is part of, if it is part of one.

    Points are in the unit of the certificate and of the `precision` that the detector makes them
    in; `offset` is the score at the boundary of the verdict, and `certified` the rows' radii, None
    of a network.
    """

    network: object
    points: np.ndarray
    lipschitz: float
    offset: float
    detector: object
    certified: np.ndarray | None
    precision: np.dtype

    def standardize(self, rows):
        """Turn rows in the units of X into the network's points."""
        if self.detector is None:
            return rows
        return self.detector._points_of(rows).astype(self.precision, copy=False)

    def in_units_of_X(self, attack, radius):
        """Turn an attack's points into rows, and judge these: rounding may have moved them."""
        if self.detector is None:
            return attack
        rows = self.detector._rows_of(attack.points)
        points = self.standardize(rows)
        stays = np.linalg.norm(points - self.points, axis=1) <= radius
        clean = self.detector._rows_of(self.points)
        rows = np.where(stays[:, np.newaxis], rows, clean)
        scores = self.network.score(self.standardize(rows))
        return attack._replace(points=rows, scores=scores, certified=self.certified)


def take_subject(detector, rows, name="points", lipschitz=None, offset=None):
    """Check what is to be attacked: a fitted detector, or a network with ``score(points)``.

    Rows are in the units of X for a detector; a `lipschitz` and `offset` of None take its bound and
    threshold, or 1 and 0. A ValueError tells of rows or numbers that are not finite, or a detector
    fitted on other columns than numbers, and a TypeError of what is neither.
    """
    # Behind PyOD's contract stands one of ours.
    detector = getattr(detector, "detector_", detector)
    certified, network = None, detector
    if hasattr(detector, "score_samples"):
        if not hasattr(detector, "_checked_points"):
            raise TypeError(
                f"a {type(detector).__name__} is no detector of this package: its score has no "
                "gradient here, and no certificate."
            )
        if getattr(detector, "encoder_", None) is not None:
            raise ValueError(
                "attacks move every column as a number, and this detector was fitted on "
                "categories, dates or missing values: half a category is no row."
            )
        # What the detector's own scores and certificates are computed from.
        certified = detector.certified_radius(rows)
        rows = detector._checked_points(rows)[:]
        network = detector._network
        lipschitz = detector.lipschitz_bound_ if lipschitz is None else lipschitz
        offset = detector.offset_ if offset is None else offset
    elif not hasattr(network, "score"):
        raise TypeError(
            f"what is attacked must be a fitted detector, or have score(points); a "
            f"{type(network).__name__} has neither."
        )
    points = check_rows(name, rows)
    return Subject(
        network,
        points,
        check_number("lipschitz", 1.0 if lipschitz is None else lipschitz),
        check_number("offset", 0.0 if offset is None else offset),
        detector if certified is not None else None,
        certified,
        points.dtype if certified is None else rows.dtype,
    )


def check_direction(direction, subject):
    """Return the direction in which each row's score is pushed: 1 is up, -1 is down.

    None pushes each towards the other verdict; a ValueError tells of anything else.
    """
    n_rows = len(subject.points)
    if direction is None:
        return np.where(subject.network.score(subject.points) >= subject.offset, -1.0, 1.0)
    signs = np.asarray(direction)
    if signs.shape not in ((), (n_rows,)) or not np.isin(signs, (-1, 1)).all():
        raise ValueError(
            f"direction must be 1 (up) or -1 (down), or {n_rows} of these, one a row, or None; got "
            f"{direction!r}."
        )
    return np.broadcast_to(signs.astype(np.float64), n_rows)
