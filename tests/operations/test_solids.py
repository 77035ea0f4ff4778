"""The signed distance to a solid as an operation: value, slope, bound, rounding, file."""

import numpy as np
import pytest

from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.operations.base import from_description
from ocsdf.operations.chain import Chain
from ocsdf.operations.solids import SolidDistance

CORNERS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def exact(points):
    """The distance to a tetrahedron's planes, which inside is the distance to its surface."""
    return np.minimum(points.min(axis=1), (1.0 - points.sum(axis=1)) / np.sqrt(3.0))


def test_inside_a_tetrahedron_it_is_the_least_distance_to_a_plane():
    rng = np.random.default_rng(0)
    points = rng.dirichlet(np.ones(4), 500)[:, :3]
    values = SolidDistance(CORNERS, FACES).evaluate(points)[:, 0]
    assert np.abs(values - exact(points)).max() < 1e-14


def test_the_slope_is_that_of_finite_differences_and_of_norm_one():
    points = np.random.default_rng(1).uniform(-1.0, 2.0, (300, 3))
    network = CertifiedNetwork(Chain((SolidDistance(CORNERS, FACES),), (3,)))
    values, slopes = network.value_and_gradient(points)
    step = 1e-6
    differences = np.stack(
        [(network.score(points + s) - network.score(points - s)) / 2.0 / step
         for s in step * np.eye(3)], axis=1
    )  # fmt: skip
    # Where two points of the surface are equally near there is no slope: those are few.
    assert np.mean(np.abs(differences - slopes).max(axis=1) < 1e-4) > 0.99
    assert np.abs(np.linalg.norm(slopes, axis=1) - 1.0).max() < 1e-9
    # A step of f along the slope ends on the surface.
    assert np.abs(network.score(points - values[:, np.newaxis] * slopes)).max() < 1e-12
    assert network.lipschitz_bound == 1.0 and network.rounding_error(points).max() < 1e-12


def test_it_is_described_and_made_again_and_checked():
    solid = SolidDistance(CORNERS, FACES)
    points = np.random.default_rng(2).uniform(-1.0, 2.0, (50, 3))
    again = from_description(*solid.describe())
    assert np.array_equal(again.evaluate(points), solid.evaluate(points))
    for faces, message in (
        (FACES[1:], "3 of its 6 edges do not have two faces"),
        (FACES + 1, "faces must be places of 4 vertices"),
        (FACES + 0.5, "faces must be places"),
        (FACES[:, :2], "must have 3 columns"),
    ):
        with pytest.raises(ValueError, match=message):
            SolidDistance(CORNERS, faces)
    with pytest.raises(ValueError, match="takes 3 features"):
        Chain((solid,), (2,))
    with pytest.raises(TypeError, match="no Keras form"):
        solid.to_keras((3,))
