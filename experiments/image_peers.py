"""Scores of images to set beside ImageOCSDF: exact distances, and detectors without a bound."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM

_N_CLUSTERS, _RANK = 20, 15


def nearest_scores(train, test, seed):
    """Minus the l2 distance to the nearest training row."""
    lengths = np.square(train, dtype=np.float64).sum(axis=1)
    nearest = [(lengths - 2.0 * (rows @ train.T)).min(axis=1) for rows in np.array_split(test, 10)]
    squares = np.concatenate(nearest) + np.square(test, dtype=np.float64).sum(axis=1)
    return -np.sqrt(np.maximum(squares, 0.0))


def subspace_scores(train, test, seed):
    """Minus the l2 distance to the nearest of 20 affine subspaces of 15 dimensions.

    k-means, then the principal components of each cluster.
    """
    n_clusters = max(1, min(_N_CLUSTERS, len(train) // (2 * _RANK)))
    labels = KMeans(n_clusters, n_init=1, random_state=seed).fit_predict(train)
    nearest = np.full(len(test), np.inf)
    for label in range(n_clusters):
        cluster = train[labels == label]
        mean = cluster.mean(axis=0)
        directions = np.linalg.svd(cluster - mean, full_matrices=False)[2][:_RANK]
        rows = test - mean
        squares = np.square(rows).sum(axis=1) - np.square(rows @ directions.T).sum(axis=1)
        nearest = np.minimum(nearest, squares)
    return -np.sqrt(np.maximum(nearest, 0.0)).astype(np.float64)


def _isolation_forest(train, test, seed):
    return IsolationForest(random_state=seed).fit(train).score_samples(test)


def _one_class_svm(train, test, seed):
    return OneClassSVM().fit(train).score_samples(test)


def _deep_svdd(train, test, seed):
    from pyod.models.deep_svdd import DeepSVDD

    detector = DeepSVDD(n_features=train.shape[1], random_state=seed, verbose=0)
    return -detector.fit(train).decision_function(test)


# PyOD's DeepSVDD is the one of Ruff et al. with dense layers.
DETECTORS = {
    "IsolationForest": _isolation_forest,
    "OneClassSVM": _one_class_svm,
    "DeepSVDD": _deep_svdd,
}
