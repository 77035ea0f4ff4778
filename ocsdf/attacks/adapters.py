r"""Independent attackers, foolbox and ART, before the same judge as our own attack.

They are shown a classifier of two classes, inside (0) and outside (1), with the logits

.. math:: \pm \mathrm{asinh}(f(x) - c)

where c is the threshold. It has f's verdicts and the directions of f's gradient. With f itself as a
logit, cross-entropy would have no gradient left in float32 for rows far from the threshold.
"""

from importlib import import_module

import numpy as np
import tensorflow as tf

from ocsdf.attacks.inputs import check_direction, take_subject
from ocsdf.attacks.search import evaluate_candidates
from ocsdf.utils.extras import how_to_install
from ocsdf.utils.threads import slices

# Of the radius, and how many: as those of ocsdf.attacks.gradient_descent.pgd.
_STEP = 0.025
_N_STEPS = 50
# Rows that a library attacks at a time.
_BATCH = 1024


def foolbox_attack(
    network, points, direction, radius, *, attack=None, offset=None, domain=None, lipschitz=None
):
    """Attack rows with foolbox; its results are projected and judged as our own.

    Parameters
    ----------
    network : OCSDF or another detector of this package, or a network
        Fitted. A network has ``score(points)``, f in float64, of shape (n,); and ``model``, f as a
        Keras model.
    points : array-like of shape (n_samples, n_features)
        In the units of X for a detector, in its own for a network.
    direction : {-1, 1}, array-like of shape (n_samples,) or None
        -1 attacks a row as one that is inside, to push its score down; 1 as one that is outside;
        None each as what it is.
    radius : float
        In units of the certificate.
    attack : foolbox.attacks.base.Attack, default=None
        None is its l2 PGD with 50 steps of 0.025 of the radius, from the rows themselves. What an
        attack draws, it draws from TensorFlow's global generator. One that looks for the smallest
        change gives up rows that are on the wrong side of the threshold already.
    offset : float, default=None
        The threshold c; None is a detector's own, or 0.
    domain : Box or Ball, default=None
        As for :func:`ocsdf.attacks.gradient_descent.pgd`; foolbox does not know of it.
    lipschitz : float, default=None
        As for :func:`ocsdf.attacks.gradient_descent.pgd`.

    Returns
    -------
    Attack
        One point a row, foolbox's result.

    Raises
    ------
    ImportError
        If foolbox is missing.
    ValueError
        As :func:`ocsdf.attacks.search.evaluate_candidates`.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.attacks import foolbox_attack
    >>> from ocsdf.certificate import CertifiedNetwork
    >>> from ocsdf.operations import Chain, Dense
    >>> network = CertifiedNetwork(Chain([Dense(np.array([[0.6], [0.8]]), np.zeros(1))], (2,)))
    >>> attack = foolbox_attack(network, [[0.0, 0.5]], direction=-1, radius=0.25)
    >>> attack.scores.round(3)
    array([0.15])
    """
    foolbox = _import_extra("foolbox", "foolbox")
    attack = attack or foolbox.attacks.L2ProjectedGradientDescentAttack(
        rel_stepsize=_STEP, steps=_N_STEPS, random_start=False
    )

    def propose(classify, rows, labels):
        # Finite, as some attacks rescale by them, and too wide to bind.
        bounds = float(rows.min() - 2.0 * radius), float(rows.max() + 2.0 * radius)
        model = foolbox.TensorFlowModel(classify, bounds, device="/CPU:0")
        criterion = foolbox.criteria.Misclassification(tf.constant(labels))
        # Minimal attacks may leave the ball: the second result is clipped to it.
        return attack(model, tf.constant(rows), criterion, epsilons=radius)[1].numpy()

    return _judge_proposals(
        propose, network, points, direction, radius, offset, domain=domain, lipschitz=lipschitz
    )


def art_attack(
    network,
    points,
    direction,
    radius,
    *,
    make_attack=None,
    offset=None,
    domain=None,
    lipschitz=None,
):
    """Attack rows with ART; its results are projected and judged as our own.

    Parameters
    ----------
    network, points, direction, radius, offset, lipschitz
        As for :func:`foolbox_attack`.
    make_attack : callable, default=None
        ``make_attack(classifier, radius)`` gives an ART evasion attack on an ART classifier. None
        makes its l2 PGD with 50 steps of 0.025 of the radius, from the rows themselves. What an
        attack draws, it draws from NumPy's global generator.
    domain : Box or Ball, default=None
        As for :func:`ocsdf.attacks.gradient_descent.pgd`; ART does not know of it.

    Returns
    -------
    Attack
        One point a row, ART's result.

    Raises
    ------
    ImportError
        If ART (``pip install adversarial-robustness-toolbox``) is missing.
    ValueError
        As :func:`foolbox_attack`.

    Examples
    --------
    ART finds no point beyond what the certificate allows, in units of X:

    >>> from sklearn.datasets import load_wine
    >>> from ocsdf import OCSDF
    >>> from ocsdf.attacks import art_attack
    >>> wine = load_wine().data
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(wine[:40])
    >>> attack = art_attack(detector, wine[40:45], direction=-1, radius=0.25)
    >>> bool((attack.scores >= detector.score_samples(wine[40:45]) - 0.25 - 1e-6).all())
    True
    """
    classification = _import_extra(
        "art.estimators.classification", "adversarial-robustness-toolbox"
    )
    make_attack = make_attack or _art_pgd

    def propose(classify, rows, labels):
        classifier = classification.TensorFlowV2Classifier(
            model=lambda rows, training=False: classify(rows),
            nb_classes=2,
            input_shape=rows.shape[1:],
            loss_object=tf.keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="sum"
            ),
        )
        return make_attack(classifier, radius).generate(rows, y=labels)

    return _judge_proposals(
        propose, network, points, direction, radius, offset, domain=domain, lipschitz=lipschitz
    )


def _art_pgd(classifier, radius):
    evasion = import_module("art.attacks.evasion")
    return evasion.ProjectedGradientDescent(
        classifier,
        norm=2,
        eps=float(radius),
        eps_step=_STEP * radius,
        max_iter=_N_STEPS,
        batch_size=_BATCH,
        verbose=False,
    )


def _judge_proposals(propose, network, points, direction, radius, offset, **judging):
    """Ask for a proposal for each row, some rows at a time, and judge them."""
    # Checks what came in, before a library sees it.
    clean = evaluate_candidates(network, points, points, direction, radius, **judging)
    if radius == 0.0:
        return clean
    subject = take_subject(network, points, offset=offset)
    rows = subject.points.astype(np.float32)
    labels = (check_direction(direction, subject) > 0).astype(np.int64)
    classify = _as_classifier(subject.network, subject.offset)
    proposals = [propose(classify, rows[part], labels[part]) for part in slices(len(rows), _BATCH)]
    candidates = np.concatenate(proposals).astype(np.float64)
    if subject.detector is not None:
        candidates = subject.detector._rows_of(candidates)
    return evaluate_candidates(network, points, candidates, direction, radius, **judging)


def _as_classifier(network, offset):
    # As one graph: step by step, a mean of networks and distances takes many times as long.
    @tf.function(reduce_retracing=True)
    def classify(rows):
        inside = tf.asinh(network.model(rows) - offset)
        return tf.concat([inside, -inside], axis=1)

    return classify


def _import_extra(module, distribution):
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This attack needs {distribution}: {how_to_install('attacks')} ({error})"
        ) from None
