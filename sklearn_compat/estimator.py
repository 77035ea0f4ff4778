"""OCSDF behind scikit-learn's outlier detector contract."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ocsdf.recipes.feature_maps import fit_feature_maps, point_rounding
from ocsdf.recipes.tables import core_rows, draw_rows
from ocsdf.sklearn_compat.chunks import come_in_chunks, summarize_chunks
from ocsdf.sklearn_compat.encoding import (
    check_encoded,
    check_training,
    coordinate_units,
    core_units,
    encoder_rounding,
)
from ocsdf.sklearn_compat.input_checks import LazyRows
from ocsdf.sklearn_compat.parameter_checks import check_parameters, plain_parameters
from ocsdf.sklearn_compat.signed_distance import SignedDistance
from ocsdf.sklearn_compat.standardization import FARTHEST, standardized
from ocsdf.sklearn_compat.tracking import parts_untracked
from ocsdf.utils.types import Rows


class OCSDF(SignedDistance):
    r"""One Class Signed Distance Function: anomaly detection with a certificate.

    f approximates the signed distance to the edge of the data, positive inside. It is a 1-Lipschitz
    network, trained by the hinge Kantorovich-Rubinstein loss to tell the data from negatives that
    it pulls to its own boundary itself; by default, the weighted mean of such a network and of
    exact distances. As f is 1-Lipschitz in l2,

    .. math:: |f(x + \delta) - f(x)| \le L \, \|\delta\|_2, \qquad L \le 1,

    so no change of l2 norm below :math:`|f(x) - \text{offset}| / L` flips a verdict.

    Scores, margins and radii have one unit. With method="paper" or standardize=False it is that of
    ``(X - mean_) / scale_``: :math:`\delta_j` of feature j counts as
    :math:`\delta_j / \text{scale}_j`. By default features are also stretched, ``stretch_``: a unit
    is one standard deviation, one normal score (:math:`\Phi^{-1}` of the share of training rows
    below) or one step between neighbouring values of a feature that has few, whichever is the
    smallest change. No change is longer in standard deviations than in this unit; a radius divided
    by ``stretch_.bound()`` is certified in standard deviations.

    Parameters
    ----------
    method : {"anchored", "paper"}, default="anchored"
        "paper" is the papers' algorithm with its printed schedule of Newton steps, and nothing
        else. "anchored", the label-free default, is minus 0.2 of the distance to the nearest
        training row, halfway between standardized and stretched, 0.1 of that where steps of
        features count and 0.3 of that between standardized rows, 0.2 of that of each feature to
        the nearest value it had; plus 0.2 of a 1-Lipschitz network that is trained by the
        papers' loss against negatives that keep clear of the data. Isolated training rows are set
        back, so that anomalies among them vouch for little. All are 1-Lipschitz, so f is. It is
        shifted so that 1 % of training rows, each left out of what it is compared with,
        lie outside. See :func:`ocsdf.recipes.tables.anchored_network`.
    emphasis : {"accuracy", "certificate", "contamination"}, default="accuracy"
        What "anchored" is best at. "certificate" takes 0.18, 0.8, none and none of the distances,
        0.02 of the network: certified radii of abnormal rows grow, the AUROC falls 1 to 2 points.
        "contamination" is for training rows that hold many anomalies: standardized by the 70 % of
        them that lie nearest the median, rows are compared with these only, and 0.4 of the sum is
        minus the distance to their median; clean rows rank worse. Figures: the page on the method.
    margin : float or "auto", default="auto"
        m of the loss, in the units of ``score_samples``; "auto" takes a share of the typical
        distance between nearest neighbours, all of it, or 1/20 where `method` is "paper".
    hinge_weight : float or "auto", default="auto"
        lambda of the loss: how much separating counts against spreading scores. "auto" is 3, and
        100 where `method` is "paper".
    hidden_layer_sizes : tuple of int or "auto", default="auto"
        Units of each hidden layer. "auto" is three of 64, and four of 128 where `method` is
        "paper"; the paper has four of 512.
    activation : {"auto", "fullsort", "groupsort2"}, default="auto"
        Sort the whole layer, as "auto" does where `method` is "paper" or a size odd, or pairs.
    newton_steps : int, default=4
        T, steps that pull a negative towards the boundary.
    updates_per_batch : int or "converged", default=1
        K of Algorithm 3; "converged" runs Algorithm 2, whose inner loop ends when the loss does
        not change by more than 1e-3, or after 50 steps.
    epochs : int, default=40
        Passes over the data. With method="anchored" an epoch has at least 10 batches, if
        ``max_steps`` allows, so that small tables get updates enough.
    max_steps : int, "auto" or None, default="auto"
        Most batches to train on, which bounds the time that large tables take: where the epochs
        would need more, each gets an equal share of them. "auto" is 300 with method="anchored"
        and None, no limit, with method="paper".
    uniform_epochs : int, default=5
        The first of ``epochs``, with negatives uniform on B.
    batch_size : int, default=128
        Rows, and negatives, a batch.
    learning_rate : float or "auto", default="auto"
        Learning rate of the optimizer in the first epoch. With method="anchored" it decays linearly
        over the epochs, and "auto" is 1e-2; with method="paper" it stays, and "auto" is 1e-3.
    optimizer : str, default="rmsprop"
        Name of a Keras optimizer; others than RMSprop need TensorFlow.
    domain : {"box", "ball"}, default="box"
        B, where negatives live: 5 standard deviations around the mean, and all training rows.
    seeds : {"auto", "uniform", "clear"}, default="auto"
        Where negatives start: anywhere in B, or more than 2 margins away from all rows, as OCSDF
        Def. 1 asks, see :class:`ocsdf.training.seeds.ClearSeeds`. "auto" is "clear", and "uniform"
        where `method` is "paper".
    orthogonality : {"projection", "reparametrization"}, default="projection"
        How kernels stay orthogonal: by a correction after each update, or inside the forward
        pass as in the paper (slower, needs TensorFlow).
    standardize : bool, default=True
        Whether to bring features to mean 0 and standard deviation 1 first.
    contamination : float, "auto" or "estimate", default="auto"
        "auto": f = 0 is the verdict's boundary and ``offset_`` is 0. A float in (0, 0.5]:
        ``offset_`` is that quantile of the scores of rows that are left out of what they are
        compared with, and no row is compared with those below it. "estimate", where rows may
        hold anomalies: ``offset_`` sets aside the rows that lie apart from the others, see
        :func:`ocsdf.decisions.contamination.estimated_threshold`.
    categorical_features : "from_dtype", None, or array-like of str, int or bool
        Which columns are categories, default "from_dtype": in data frames those of text, of
        categories and of objects that are no numbers; in arrays none. Or none, or those named,
        counted or marked. Two different categories are :math:`\sqrt 2` units apart, whatever
        they are; dates become microseconds and are standardized as numbers are.
    missing : {"error", "indicate"}, default="error"
        Whether missing values are refused, or take the median of their column and a code, as far
        from that of values that are there as two categories are.
    callbacks : list of ocsdf.training.Callback or keras.callbacks.Callback, or None, default=None
        Their train and epoch hooks are called. Keras's need TensorFlow.
    random_state : int, RandomState instance or None, default=None
        The same seed on the same machine gives the same scores.
    verbose : {0, 1, 2}, default=0
        Silent, a progress bar, or a line an epoch.

    Attributes
    ----------
    model_ : keras.Sequential
        f, from standardized and stretched float32 rows (n, d) to (n, 1).
    stretch_ : ocsdf.operations.piecewise.Piecewise or None
        The map that stretches standardized rows; None where they stay as they are.
    encoder_ : ocsdf.data.encoders.ColumnEncoder or None
        Makes rows of numbers of categories, dates and missing values; None where rows are numbers
        as they are. Below, X is what it makes of them, and features are its coordinates.
    mean_, scale_ : ndarray of shape (n_features,)
        Rows are judged as ``(X - mean_) / scale_``; 0 and 1 when not standardized, and of codes.
    offset_ : float
        ``decision_function = score_samples - offset_``.
    training_scores_ : ndarray of shape (n,)
        Scores of up to 1,000 training rows, increasing, each as if that row had been left out.
    margin_ : float
        The margin that was used.
    lipschitz_bound_ : float
        Upper bound of f's Lipschitz constant in l2, computed in float64; at most 1.
    domain_ : Box or Ball
        B, in units of the certificate.
    history_ : dict of str to list of float
        By epoch: "loss", "share_inside", "gradient_norm", "hinge_share".
    n_iter_ : int
        Epochs run.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Only where X has column names.

    References
    ----------
    Béthune et al., Robust One-Class Classification with Signed Distance Function using
    1-Lipschitz Neural Networks, ICML 2023: Algorithms 1 to 3, Eq. 2, Proposition 1.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from ocsdf import OCSDF
    >>> X, _ = make_blobs(200, centers=1, random_state=0)
    >>> detector = OCSDF(hidden_layer_sizes=(32, 32), random_state=0).fit(X)
    >>> detector.predict([X.mean(axis=0), [50.0, 50.0]])
    array([ 1, -1])
    """

    def __init__(
        self,
        method="anchored",
        emphasis="accuracy",
        margin="auto",
        hinge_weight="auto",
        hidden_layer_sizes="auto",
        activation="auto",
        newton_steps=4,
        updates_per_batch=1,
        epochs=40,
        max_steps="auto",
        uniform_epochs=5,
        batch_size=128,
        learning_rate="auto",
        optimizer="rmsprop",
        domain="box",
        seeds="auto",
        orthogonality="projection",
        standardize=True,
        contamination="auto",
        categorical_features="from_dtype",
        missing="error",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.method = method
        self.emphasis = emphasis
        self.margin = margin
        self.hinge_weight = hinge_weight
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.newton_steps = newton_steps
        self.updates_per_batch = updates_per_batch
        self.epochs = epochs
        self.max_steps = max_steps
        self.uniform_epochs = uniform_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.domain = domain
        self.seeds = seeds
        self.orthogonality = orthogonality
        self.standardize = standardize
        self.contamination = contamination
        self.categorical_features = categorical_features
        self.missing = missing
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the signed distance to the edge of the data.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame (n_samples, n_features), or chunks of rows
            Finite numbers that float64 can hold; in a data frame also categories and dates. Of
            sparse rows a dense copy is made. Rows may come in chunks, read once: an iterator or a
            list of tables, an Arrow dataset, a data frame of Dask or Spark, a dataset of Ray, a
            :class:`ocsdf.data.RowSummary`. Features are then standardized by the moments of all
            rows, and the rest is fitted on a random sample of 32,768 rows (fewer where these have
            over 2^24 numbers).
        y : Ignored
        sample_weight : array-like of shape (n_samples,) or None
            Rows are drawn for training with probability proportional to it; rows of weight 0 are
            left out altogether.

        Returns
        -------
        OCSDF
            Itself, fitted.

        Raises
        ------
        ValueError, TypeError
            For an invalid parameter or input, before any work.
        KeyboardInterrupt
            On Ctrl-C, after the fitted attributes are set from what was learned so far.
        """
        # Features are noted on a blank detector: a fit that fails leaves this one as it was.
        plain = plain_parameters(self)
        check_parameters(plain)
        seed = check_random_state(self.random_state).randint(2**31)
        summary = None
        if come_in_chunks(X):
            if sample_weight is not None:
                raise ValueError("sample_weight is for tables of rows; chunks have none.")
            summary = summarize_chunks(X, seed, refuse_missing=plain.missing == "error")
            X = summary.rows
        rows, weights, encoder = check_training(plain, X, sample_weight)
        mean, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        if self.standardize:
            mean, scale = coordinate_units(rows, encoder, summary)
        points = standardized(rows, mean, scale)
        random_state = np.random.default_rng(seed)
        is_code = None if encoder is None else encoder.is_code_
        is_core = None
        if plain.method == "anchored" and plain.emphasis == "contamination":
            is_core = core_rows(points, weights)
            if plain.standardize:
                mean, scale = core_units(rows[is_core], encoder, mean, scale)
                points = standardized(rows, mean, scale)
        stretched = views = None
        if plain.method == "anchored" and plain.standardize:
            drawn = points if is_core is None else points[is_core]
            if weights is not None:
                shares = weights if is_core is None else weights[is_core]
                drawn = drawn[draw_rows(len(drawn), len(drawn), random_state, shares)]
            stretched, views = fit_feature_maps(drawn, is_code)
            points = _stretched(points, stretched)
        rounding = _rounding(stretched, encoder, scale)
        # Imported here, so that a process which only scores loads nothing of training.
        from ocsdf.sklearn_compat.fitting import fit_network

        with parts_untracked():
            fit = fit_network(
                plain, points, views, rounding, weights, random_state, is_core, is_code
            )
        self._adopt(plain, fit, mean, scale, stretched, encoder)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "indicate"
        return tags

    def _checked_points(self, X):
        check_is_fitted(self)
        return LazyRows(check_encoded(self, X), self._points_of)

    def _points_of(self, rows):
        points = standardized(rows, self.mean_, self.scale_)
        return points if self.stretch_ is None else _stretched(points, self.stretch_)

    def _point_rounding(self):
        return _rounding(self.stretch_, self.encoder_, self.scale_)


def _stretched(points, stretched):
    return np.clip(stretched.evaluate(points), -FARTHEST, FARTHEST)


def _rounding(stretched, encoder, scale):
    relative, absolute = (2.0**-52, 0.0) if stretched is None else point_rounding(stretched)
    return relative, absolute + encoder_rounding(encoder, scale, stretched)
