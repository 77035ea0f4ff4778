"""The label-free default for images: which cones, how wide, from the images alone."""

import keras
import numpy as np
from sklearn.cluster import KMeans

from ocsdf.networks.builders import average
from ocsdf.networks.cones import Cones
from ocsdf.networks.layers import Centered
from ocsdf.operations.matrix_bounds import matrix_bound

# Of the learned network and of the cones, in their mean.
SHARES = (0.25, 0.75)
_N_CLUSTERS, _RANK = 20, 15
# Clusterings whose cones are averaged.
_N_CLUSTERINGS = 2
# Images of a cluster for each dimension of its subspace, and of a clustering for each cluster.
_IMAGES_PER_DIMENSION, _IMAGES_PER_CLUSTER = 2, 50
_MOST_RAYS = 5000
_QUERIES = 1000
# Of the images: what is fainter than all others is outside.
_SHARE_FAINT = 0.01
# Of an image without its brightness, in pixel units: half a grey level of one pixel.
_LEAST_NORM = 0.5 / 255.0
# Of a cone: at 0 it is empty, at pi / 2 it leaves nothing out.
_LEAST_ANGLE, _LARGEST_ANGLE = 1e-3, 1.5


def cone_part(rows, n_channels, random_state):
    """Make the exact part of the default: how far an image lies from cones around the others.

    Images in [0, 1] lose their brightness first, and what has a smaller norm than 99 % of them is
    outside, too. Where they are grey, the value is the mean over two clusterings (k-means, 20
    clusters) of the signed distance to the edge of cones around the first 15 singular vectors of
    each cluster, whose angle is the median of the images' angles to their own subspace. Where they
    have colours, few directions do not tell one kind of them from another: each image, of 5,000 at
    most, has a cone of its own, whose angle is the median of the angles to the nearest other image.
    """
    centered = rows - rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centered, axis=1)
    seen = norms > _LEAST_NORM
    centered, norms = centered[seen], norms[seen]
    if n_channels > 1:
        return average([_rays(centered, norms, random_state)], [1.0])
    members = [_subspaces(centered, norms, random_state) for _ in range(_N_CLUSTERINGS)]
    return average(members, [1.0 / _N_CLUSTERINGS] * _N_CLUSTERINGS)


def are_seen(rows):
    """Tell which images show anything: they are not of one brightness, within half a grey level.

    Pixels are in [0, 1], a row an image.
    """
    return np.linalg.norm(rows - rows.mean(axis=1, keepdims=True), axis=1) > _LEAST_NORM


def _subspaces(rows, norms, random_state):
    """Build cones around the subspaces of clusters."""
    clusters = _clusters(rows, random_state)
    rank = max(1, min(_RANK, min(map(len, clusters)) // _IMAGES_PER_DIMENSION, rows.shape[1]))
    bases = [_leading_directions(rows[cluster], rank) for cluster in clusters]
    lengths = [
        np.linalg.norm(rows[cluster] @ basis, axis=1)
        for cluster, basis in zip(clusters, bases, strict=True)
    ]
    return _cone_network(bases, np.concatenate(lengths), norms[np.concatenate(clusters)])


def _rays(rows, norms, random_state):
    """Build a cone around each image."""
    drawn = random_state.permutation(len(rows))[:_MOST_RAYS]
    rays = rows[drawn] / norms[drawn, None]
    queries = drawn[:_QUERIES]
    lengths = rows[queries] @ rays.T
    # An image is no neighbour of its own.
    np.fill_diagonal(lengths, -np.inf)
    return _cone_network(rays[:, :, None], lengths.max(axis=1), norms[queries])


def _clusters(rows, random_state):
    """Return the row numbers of each cluster of k-means that has enough images."""
    n_clusters = int(np.clip(len(rows) // _IMAGES_PER_CLUSTER, 1, _N_CLUSTERS))
    seed = int(random_state.integers(2**31))
    labels = KMeans(n_clusters, n_init=1, max_iter=30, random_state=seed).fit_predict(rows)
    clusters = [np.flatnonzero(labels == label) for label in range(n_clusters)]
    least = min(_IMAGES_PER_DIMENSION * _RANK, len(rows) // n_clusters)
    return [cluster for cluster in clusters if len(cluster) >= least]


def _leading_directions(rows, rank):
    """Return the first right singular vectors, (n_features, rank)."""
    if len(rows) < rows.shape[1]:
        return np.linalg.svd(rows, full_matrices=False)[2][:rank].T
    return np.linalg.eigh(rows.T @ rows)[1][:, : -rank - 1 : -1]


def _cone_network(bases, lengths, norms):
    """Build cones of the angle that half of the images need."""
    angles = np.arccos(np.clip(lengths / norms, 0.0, 1.0))
    angle = float(np.clip(np.median(angles), _LEAST_ANGLE, _LARGEST_ANGLE))
    floor = max(0.0, float(np.quantile(lengths, _SHARE_FAINT)))
    n_features, rank = bases[0].shape
    cones = Cones(len(bases), rank, angle, floor)
    model = keras.Sequential([keras.Input((n_features,)), Centered(), cones])
    cones.bases.assign(np.concatenate([_shortened(basis) for basis in bases], axis=1))
    return model


def _shortened(basis):
    """Round to float32 and scale down until the float64 bound of the norm is at most 1."""
    shrink = 1.0
    rounded = basis.astype(np.float32)
    while (bound := matrix_bound(rounded)) > 1.0:
        shrink *= bound * (1.0 + 2.0**-24)
        rounded = (basis / shrink).astype(np.float32)
    return rounded
