"""Attacks on a score, in l2: how far it can be moved, to set beside how far a certificate allows.

Gradients only lead the way. Whatever is reported was evaluated in float64.
"""

import numpy as np

from ocsdf.attacks.inputs import check_direction, take_subject
from ocsdf.attacks.search import Attack, Search
from ocsdf.certificate.metrics import certified_auroc
from ocsdf.networks.gradients import BLOCK, input_gradient, unit
from ocsdf.utils.checks import check_count, check_labels, check_number, check_radii
from ocsdf.utils.threads import slices

# Rows attacked at a time, whole blocks for any number of restarts.
_CHUNK = 32 * BLOCK


def pgd(
    network,
    points,
    direction,
    radius,
    *,
    domain=None,
    n_restarts=3,
    step=0.025,
    n_steps=50,
    lipschitz=None,
    random_state=0,
):
    r"""Move the score of rows by projected gradient descent or ascent in l2 balls.

    .. math:: x' \leftarrow \Pi\Big(x' + \sigma \zeta \epsilon \,
       \frac{\nabla f(x')}{\|\nabla f(x')\|}\Big)

    where sigma is the `direction`, zeta the `step`, eps the `radius`, and :math:`\Pi` projects on
    the ball of that radius around the row, then on the domain, then pulls what has left the ball
    back into it (OCSDF Sec. 5.3.1: three restarts, zeta = 0.025). A row of the domain stays in
    both; a row outside comes as near to the domain as its ball allows. Every iterate is judged,
    and the best is kept. Where the domain blocks a part of the gradient, steps are shorter by it,
    and an iterate from the row itself may end inside the ball; more steps carry it on. Where the
    gradient is zero or not finite, an iterate stays.

    Parameters
    ----------
    network : OCSDF or another detector of this package, or a network
        Fitted. A network has ``score(points)``, f in float64, of shape (n,); and ``model``, f as a
        Keras model, or ``value_and_gradient(points)`` as for
        :func:`ocsdf.training.newton.newton_step`.
    points : array-like of shape (n_samples, n_features)
        Rows x, in the units of X for a detector, in its own for a network.
    direction : {-1, 1}, array-like of shape (n_samples,) or None
        1 pushes a score up, -1 pushes it down; None pushes each towards the other verdict.
    radius : float
        eps >= 0, in units of the certificate: how far from its row a point may go, in l2.
    domain : Box or Ball, default=None
        None lets iterates go anywhere in the ball.
    n_restarts : int, default=3
        The first starts at the row, the others uniformly in its ball.
    step : float, default=0.025
        Length of a step, as a share of the radius.
    n_steps : int, default=50
    lipschitz : float, default=None
        L, of which :attr:`Attack.excess` tells by how much it was exceeded; None is a detector's
        bound, or 1.
    random_state : int or numpy.random.Generator, default=0
        Draws the starts.

    Returns
    -------
    Attack
        But for rounding, a row's does not depend on the rows after it.

    Raises
    ------
    ValueError
        If the points are not finite rows, a direction is not -1 or 1, or a number is out of range.
    TypeError
        If the network has no gradient.

    Examples
    --------
    On an affine f of unit gradient, an attack of radius 1 gains 1:

    >>> import numpy as np
    >>> from ocsdf.attacks import pgd
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.operations import Chain, Dense
    >>> network = CertifiedNetwork(Chain([Dense(np.array([[0.6], [0.8]]), np.zeros(1))], (2,)))
    >>> attack = pgd(network, [[3.0, 4.0]], direction=1, radius=1.0)
    >>> network.score(np.array([[3.0, 4.0]])), attack.scores.round(3)
    (array([5.]), array([6.]))
    """
    subject = take_subject(network, points, lipschitz=lipschitz)
    signs = check_direction(direction, subject)
    radius = check_number("radius", radius, 0.0)
    settings = _settings(domain, n_restarts, step, n_steps, subject.lipschitz)
    gradient = input_gradient(subject.network)
    found = _pgd(
        subject.network,
        gradient,
        subject.points,
        signs,
        radius,
        settings,
        random_state=random_state,
    )
    return subject.in_units_of_X(found, radius)


def attacked_auroc(
    detector,
    X,
    y,
    radii,
    *,
    attacked="both",
    pos_label=None,
    domain=None,
    n_restarts=3,
    step=0.025,
    n_steps=50,
    random_state=0,
):
    """AUROC after :func:`pgd` has pushed normal rows down and anomalies up.

    It lies between the AUROC, at radius 0, and :func:`ocsdf.certified_auroc`, which no attack
    falls below.

    Parameters
    ----------
    detector : OCSDF or another detector of this package, or a network as for :func:`pgd`
        Fitted. A detector standardizes X; a network takes it as it is.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        Two classes, both present.
    radii : float or array-like of shape (n_radii,)
        Attack radii eps >= 0, in units of the certificate.
    attacked : {"both", "anomalies", "normals"}, default="both"
        Which rows the attacker may move.
    pos_label : int, float, bool, str or None, default=None
        The anomalies' label, as for :meth:`ocsdf.OCSDF.certified_auroc`: None is 1 of 0 and 1.
    domain : Box or Ball, default=None
        Such as ``detector.domain_``; see :func:`pgd`, also for the other parameters.
    n_restarts : int, default=3
    step : float, default=0.025
    n_steps : int, default=50
    random_state : int or numpy.random.Generator, default=0

    Returns
    -------
    auroc : ndarray of shape (n_radii,), float64
        In the order of `radii`. What was found at one radius counts at all larger ones, so that
        they never grow with eps.

    Raises
    ------
    ValueError
        As :func:`pgd`, and if y does not fit X, or has not two classes, or `attacked` is none of
        the three.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from ocsdf import OCSDF
    >>> from ocsdf.attacks import attacked_auroc
    >>> X, y = load_wine(return_X_y=True)
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(X[:40])
    >>> rows, labels = X[40:70], (y[40:70] > 0)
    >>> attacked = attacked_auroc(detector, rows, labels, [0.0, 0.5], n_steps=10)
    >>> bool(attacked[1] <= attacked[0])
    True
    >>> bool((attacked >= detector.certified_auroc(rows, labels, [0.0, 0.5])).all())
    True
    """
    subject = take_subject(detector, X, "X")
    network, points = subject.network, subject.points
    anomaly = check_labels(y, pos_label, len(points))
    radii = check_radii(radii)
    movable = {"both": np.full(len(points), True), "anomalies": anomaly, "normals": ~anomaly}
    if attacked not in movable:
        raise ValueError(
            f"attacked must be one of {', '.join(map(repr, movable))}; got {attacked!r}."
        )
    moved = movable[attacked]
    signs = np.where(anomaly, 1.0, -1.0)[moved]
    settings = _settings(domain, n_restarts, step, n_steps, 1.0)
    gradient = input_gradient(network)
    scores, auroc = network.score(points), np.empty(len(radii))
    for i in np.argsort(radii, kind="stable"):
        found = _pgd(
            network, gradient, points[moved], signs, radii[i], settings, random_state=random_state
        )
        scores[moved] = signs * np.maximum(signs * scores[moved], signs * found.scores)
        # At radius 0 the guaranteed AUROC is the AUROC of the scores.
        auroc[i] = certified_auroc(scores[~anomaly], scores[anomaly], 0.0)[0]
    return auroc


def _settings(domain, n_restarts, step, n_steps, lipschitz):
    check_count("n_restarts", n_restarts)
    check_count("n_steps", n_steps)
    step = check_number("step", step, above=0.0)
    return domain, n_restarts, step, n_steps, check_number("lipschitz", lipschitz)


def _pgd(network, gradient, points, signs, radius, settings, *, random_state):
    random_state = np.random.default_rng(random_state)
    chunks = [
        _pgd_chunk(network, gradient, points[rows], signs[rows], radius, settings, random_state)
        for rows in slices(len(points), _CHUNK)
    ]
    parts = zip(*((chunk.points, chunk.scores, chunk.excess) for chunk in chunks), strict=True)
    return Attack(*map(np.concatenate, parts))


def _pgd_chunk(network, gradient, points, signs, radius, settings, random_state):
    domain, n_restarts, step, n_steps, lipschitz = settings
    search = Search(network, points, signs, radius, domain, lipschitz)
    if radius == 0.0:
        return search.found()
    offsets = radius * _uniform_in_ball(len(points), n_restarts, points.shape[1], random_state)
    offsets[:, 0] = 0.0
    moved = search.confine(points[:, np.newaxis] + offsets)
    search.evaluate(moved)
    lengths = step * radius * signs[:, np.newaxis, np.newaxis]
    for _ in range(n_steps):
        slope = gradient(moved.reshape(-1, points.shape[1])).reshape(moved.shape)
        moved = search.confine(moved + lengths * unit(slope))
        search.evaluate(moved)
    return search.found()


def _uniform_in_ball(n_rows, n_each, n_features, random_state):
    """Draw from the unit ball: some coordinates of a sphere's, of two dimensions more."""
    normal = random_state.standard_normal((n_rows, n_each, n_features + 2))
    return unit(normal)[:, :, :n_features]
