"""How far two shapes are apart: Chamfer, Hausdorff, point to surface, normals, volumes."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from ocsdf.surfaces.meshing import import_surface_package


class ShapeDistances(NamedTuple):
    """Distances between a mesh and the truth, in their units.

    Attributes
    ----------
    to_truth, from_truth : float
        Mean l2 distance of a point of the mesh to the surface of the truth; and the other way.
    hausdorff : float
        The largest of all those distances, of both directions.
    chamfer_l1, chamfer_l2 : float
        Between samples, see :func:`chamfer`.
    normal_consistency : float
        Mean size of the cosine between the normals at a sample and at its nearest point of the
        other surface, over both directions; 1 is best.

    Examples
    --------
    >>> import numpy as np
    >>> import trimesh
    >>> from ocsdf.surfaces import compare_meshes
    >>> small, large = (trimesh.creation.icosphere(3, radius) for radius in (1.0, 1.1))
    >>> distances = compare_meshes(small, large, np.random.default_rng(0), n_samples=500)
    >>> round(distances.to_truth, 1), round(distances.hausdorff, 1)
    (0.1, 0.1)
    """

    to_truth: float
    from_truth: float
    hausdorff: float
    chamfer_l1: float
    chamfer_l2: float
    normal_consistency: float


def compare_meshes(mesh, truth, random_state, n_samples=30_000):
    """Measure between two surfaces, from uniform samples of both.

    Parameters
    ----------
    mesh, truth : trimesh.Trimesh
    random_state : numpy.random.Generator
    n_samples : int, default=30,000
        Points drawn from each surface (CNLS Sec. 5.3).

    Returns
    -------
    ShapeDistances

    Raises
    ------
    ValueError
        If a mesh has no faces.

    Examples
    --------
    >>> import numpy as np
    >>> import trimesh
    >>> from ocsdf.surfaces import compare_meshes
    >>> sphere, box = trimesh.creation.icosphere(3), trimesh.creation.box((2.0, 2.0, 2.0))
    >>> distances = compare_meshes(sphere, box, np.random.default_rng(0), n_samples=500)
    >>> distances.to_truth < distances.hausdorff
    True
    """
    samples, normals = zip(
        *(sample_surface(one, n_samples, random_state) for one in (mesh, truth)), strict=True
    )
    sides = [
        point_to_surface(other, points)
        for other, points in zip((truth, mesh), samples, strict=True)
    ]
    cosines = [
        np.abs(np.sum(own * other.face_normals[faces], axis=1)).mean()
        for own, other, (_, faces) in zip(normals, (truth, mesh), sides, strict=True)
    ]
    to_truth, from_truth = (distances for distances, _ in sides)
    return ShapeDistances(
        to_truth=float(to_truth.mean()),
        from_truth=float(from_truth.mean()),
        hausdorff=float(max(to_truth.max(), from_truth.max())),
        chamfer_l1=chamfer(*samples, norm=1),
        chamfer_l2=chamfer(*samples, norm=2),
        normal_consistency=float(np.mean(cosines)),
    )


def sample_surface(mesh, n_samples, random_state):
    """Draw points uniformly from a surface."""
    if not len(mesh.faces):
        raise ValueError("the mesh has no faces to sample; give one that has a surface.")
    trimesh = import_surface_package("trimesh")
    points, faces = trimesh.sample.sample_surface(mesh, n_samples, seed=random_state)
    return np.asarray(points), np.asarray(mesh.face_normals[faces])


def point_to_surface(mesh, points):
    """Measure from points to the nearest point of a surface, in l2."""
    import_surface_package("rtree")
    trimesh = import_surface_package("trimesh")
    _, distances, faces = trimesh.proximity.closest_point(mesh, points)
    return distances, faces


def chamfer(points, others, norm=2):
    r"""Measure between two clouds of points.

    .. math:: \tfrac12 \Big(\frac1n \sum_{x \in X} \min_{y \in Y} \|x - y\|
       + \frac1m \sum_{y \in Y} \min_{x \in X} \|x - y\|\Big)

    (as in CNLS Table 2, where l1 and l2 are the norm). Above 0 even for two samples of one
    surface: the floor that a table should show beside it.

    Parameters
    ----------
    points, others : ndarray of shape (n, 3) and (m, 3)
        X and Y.
    norm : {1, 2}, default=2

    Returns
    -------
    float
        In the units of the points.

    Examples
    --------
    >>> import numpy as np
    >>> from ocsdf.surfaces import chamfer
    >>> chamfer(np.zeros((1, 3)), np.array([[3.0, 4.0, 0.0]]), norm=1)
    7.0
    """
    there, _ = cKDTree(others).query(points, p=norm)
    back, _ = cKDTree(points).query(others, p=norm)
    return float((there.mean() + back.mean()) / 2.0)


def signed_distance(mesh, points):
    """Measure the signed distance to a watertight surface, positive inside.

    Parameters
    ----------
    mesh : trimesh.Trimesh
        Watertight.
    points : ndarray of shape (n, 3)

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> import trimesh
    >>> from ocsdf.surfaces import signed_distance
    >>> box = trimesh.creation.box((2.0, 2.0, 2.0))
    >>> signed_distance(box, np.array([[0.5, 0.0, 0.0], [3.0, 0.0, 0.0]])).round(6)
    array([ 0.5, -2. ])
    """
    distances, _ = point_to_surface(mesh, points)
    return np.where(mesh.contains(points), distances, -distances)


def volume_iou(inside, others):
    r"""Compare two solids by how many points they share.

    .. math:: |A \cap B| / |A \cup B|

    Parameters
    ----------
    inside, others : array-like of shape (n,), bool
        Whether each of the same points, uniform on a box around both, is in A, and in B.

    Returns
    -------
    float
        1 where neither holds a point.

    Raises
    ------
    ValueError
        If they are not as many.

    Examples
    --------
    >>> from ocsdf.surfaces import volume_iou
    >>> round(float(volume_iou([True, True, False, False], [True, False, True, False])), 3)
    0.333
    """
    inside, others = np.asarray(inside, dtype=bool), np.asarray(others, dtype=bool)
    if inside.shape != others.shape:
        raise ValueError(
            f"both solids must be asked for the same points; got shapes {inside.shape} and "
            f"{others.shape}."
        )
    either = np.count_nonzero(inside | others)
    return np.count_nonzero(inside & others) / either if either else 1.0
