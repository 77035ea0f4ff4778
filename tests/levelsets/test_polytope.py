"""Theorem 1: ReLU networks whose zero level set is a given polytope's boundary."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path
from scipy.spatial import cKDTree

from ocsdf.levelsets import mesh_network, polytope_network

BOX = np.vstack([np.eye(3), -np.eye(3)])
CUBE = (BOX, np.ones(6))
OCTAHEDRON = (np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, 8).T, np.ones(8))
SQUARE = (np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, -1.0]]), np.array([1, 2, 3, 1.0]))
# x in [0, 2], y in [0, 2], without the quarter x > 1, y > 1.
CORNERS = np.array([[0.0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]])
SIDES = np.stack([np.arange(6), (np.arange(6) + 1) % 6], axis=1)
# abs(y) < x: unbounded, with both planes through the origin.
WEDGE = (np.array([[1.0, -1.0], [1.0, 1.0]]), np.zeros(2))
# Three quarters of the plane.
REFLEX = (np.array([[1.0, 0.0], [0.0, 1.0]]), np.zeros(2))


def in_cube(points):
    return np.abs(points).max(axis=1) < 1.0


def in_octahedron(points):
    return np.abs(points).sum(axis=1) < 1.0


def in_l_shape(points):
    x, y = points[:, :2].T
    return (x > 0) & (y > 0) & (x < 2) & (y < 2) & ((x < 1) | (y < 1))


def in_l_prism(points):
    return in_l_shape(points) & (np.abs(points[:, 2]) < 0.5)


def in_wedge(points):
    return points[:, 0] > np.abs(points[:, 1])


def in_reflex(points):
    return points.max(axis=1) > 0.0


def on_simplices(vertices, facets, n_points, rng):
    """Points on facets, uniform in barycentric coordinates."""
    weights = rng.dirichlet(np.ones(facets.shape[1]), size=n_points)
    chosen = vertices[facets[rng.integers(len(facets), size=n_points)]]
    return np.einsum("ni,nij->nj", weights, chosen)


def face_points(name, rng, n_points=10_000):
    """Points on a shape's boundary."""
    if name in ("square", "cube"):
        d = 2 if name == "square" else 3
        points = rng.uniform(-1.0, 1.0, size=(n_points, d))
        points[np.arange(n_points), rng.integers(d, size=n_points)] = rng.choice([-1, 1], n_points)
        return points
    if name == "octahedron":
        return rng.dirichlet(np.ones(3), n_points) * rng.choice([-1.0, 1.0], (n_points, 3))
    if name == "l_shape":
        return on_simplices(CORNERS, SIDES, n_points, rng)
    if name == "l_prism":
        walls = np.append(on_simplices(CORNERS, SIDES, n_points, rng), np.zeros((n_points, 1)), 1)
        walls[:, 2] = rng.uniform(-0.5, 0.5, n_points)
        flat = rng.uniform(0.0, 2.0, size=(n_points, 3))
        flat[:, 2] = rng.choice([-0.5, 0.5], n_points)
        return np.vstack([walls, flat[in_l_shape(flat)]])
    along = rng.uniform(0.0, 10.0, size=(n_points, 1))
    rays = [[1.0, 1.0], [1.0, -1.0]] if name == "wedge" else [[0.0, -1.0], [-1.0, 0.0]]
    return along * rng.choice(rays, n_points)


def l_planes(n_features=2):
    normals = np.eye(n_features)[[0, 0, 0, 1, 1, 1]]
    offsets = -np.array([0.0, 1, 2, 0, 1, 2])
    if n_features == 2:
        return normals, offsets
    return np.vstack([normals, BOX[[2, 5]]]), np.append(offsets, [0.5, 0.5])


SHAPES = {
    "square": (SQUARE, in_cube),
    "cube": (CUBE, in_cube),
    "octahedron": (OCTAHEDRON, in_octahedron),
    "l_shape": (l_planes(), in_l_shape),
    "l_prism": (l_planes(3), in_l_prism),
    "wedge": (WEDGE, in_wedge),
    "reflex": (REFLEX, in_reflex),
}


@pytest.fixture(scope="module", params=SHAPES)
def shape(request):
    planes, inside = SHAPES[request.param]
    return request.param, polytope_network(*planes, inside), inside


def values(network, points):
    return network(np.asarray(points, np.float32)).numpy()[:, 0]


def test_sign_on_a_hundred_thousand_points(shape):
    _, network, inside = shape
    points = np.random.default_rng(0).uniform(-3.0, 3.0, size=(100_000, network.input_shape[1]))
    within, found = inside(points), values(network, points)
    assert 0.001 < within.mean() < 0.9
    # Rounding to float32 moves a point by 2e-7: within 1e-5 of the boundary signs may differ.
    clear = np.abs(found) > 1e-5
    assert clear.mean() > 0.999
    np.testing.assert_array_equal(found[clear] > 0.0, within[clear])


def test_zero_on_ten_thousand_points_of_faces(shape):
    name, network, _ = shape
    points = face_points(name, np.random.default_rng(1))
    assert len(points) >= 10_000
    np.testing.assert_allclose(values(network, points), 0.0, atol=1e-5)


def test_zero_nowhere_else(shape):
    """f is 1-Lipschitz and piecewise linear: away from the faces it is away from 0."""
    name, network, _ = shape
    rng = np.random.default_rng(2)
    d = network.input_shape[1]
    points = rng.uniform(-3.0, 3.0, size=(2_000, d))
    faces = face_points(name, rng, 40_000)
    distances = cKDTree(faces).query(points)[0]
    found = np.abs(values(network, points))
    assert np.all(found <= distances + 1e-5)
    # A corner is up to sqrt(3) times as far as the farthest of its planes.
    assert found[distances > 0.3].min() > 0.3 / np.sqrt(3.0) - 0.1


def test_gradient_has_norm_one_and_slopes_are_at_most_one(shape):
    _, network, _ = shape
    points = tf.random.stateless_uniform((500, network.input_shape[1]), (0, 1), -3.0, 3.0)
    with tf.GradientTape() as tape:
        tape.watch(points)
        total = tf.reduce_sum(network(points))
    gradients = tape.gradient(total, points)
    np.testing.assert_allclose(np.linalg.norm(gradients, axis=1), 1.0, atol=1e-5)


def test_it_is_an_mlp_of_relu(shape):
    _, network, _ = shape
    *hidden, last = network.layers
    assert all(type(layer) is keras.layers.Dense for layer in network.layers)
    assert {layer.activation.__name__ for layer in hidden} == {"relu"}
    assert last.activation.__name__ == "linear"
    restored = keras.Sequential.from_config(network.get_config())
    restored.set_weights(network.get_weights())
    points = np.random.default_rng(0).normal(size=(9, network.input_shape[1]))
    np.testing.assert_array_equal(values(restored, points), values(network, points))


@pytest.mark.parametrize("n_features", [2, 3])
def test_above_zero_on_the_inner_planes_of_the_l_shape(n_features):
    """Where the printed f, a minimum over all planes, would be 0."""
    network = polytope_network(*l_planes(n_features), in_l_prism if n_features == 3 else in_l_shape)
    along = np.linspace(0.01, 0.99, 200)
    points = np.concatenate(
        [np.stack([np.ones(200), along], axis=1), np.stack([along, np.ones(200)], axis=1)]
    )
    points = np.pad(points, [(0, 0), (0, n_features - 2)])
    found = values(network, points)
    assert found.min() > 0.009
    # To the nearest wall of the arm that the inner plane crosses, or to the lids.
    np.testing.assert_allclose(found, np.tile(np.minimum(along, 1.0 - along), 2), atol=1e-6)


@pytest.mark.parametrize(("name", "norm"), [("cube", np.inf), ("octahedron", 1)])
def test_convex_shapes_are_the_minimum_of_their_planes(name, norm):
    planes, inside = SHAPES[name]
    network = polytope_network(*planes, inside)
    points = np.random.default_rng(0).uniform(-2.0, 2.0, size=(1_000, 3))
    gap = 1.0 - np.linalg.norm(points, ord=norm, axis=1)
    expected = gap if norm == np.inf else gap / np.sqrt(3.0)
    np.testing.assert_allclose(values(network, points), expected, atol=2e-6)


def test_orientation_length_and_repetition_of_planes_do_not_matter():
    network = polytope_network(*l_planes(), in_l_shape)
    normals, offsets = l_planes()
    factors = np.random.default_rng(0).normal(size=6)
    again = polytope_network(
        np.vstack([normals * factors[:, np.newaxis], 2.0 * normals]),
        np.append(offsets * factors, 2.0 * offsets),
        in_l_shape,
    )
    points = np.random.default_rng(1).uniform(-1.0, 3.0, size=(1_000, 2))
    np.testing.assert_allclose(values(again, points), values(network, points), atol=1e-6)
    assert again.count_params() == network.count_params()


def test_a_half_line_and_a_half_space():
    ray = polytope_network([[2.0]], [-1.0], lambda points: points[:, 0] < 0.5)
    np.testing.assert_allclose(values(ray, [[0.0], [0.5], [2.0]]), [0.5, 0.0, -1.5], atol=1e-6)


# Meshes


def prism():
    """The L-shape's prism as triangles."""
    low, high = np.insert(CORNERS, 2, -0.5, axis=1), np.insert(CORNERS, 2, 0.5, axis=1)
    lid = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    walls = [[a, b, b + 6] for a, b in SIDES] + [[a, a + 6, b + 6] for a, b in SIDES]
    return np.vstack([low, high]), np.vstack([lid, lid + 6, walls])


def test_mesh_in_the_plane_and_in_space():
    rng = np.random.default_rng(0)
    for mesh, inside in (((CORNERS, SIDES), in_l_shape), (prism(), in_l_prism)):
        network = mesh_network(*mesh)
        points = rng.uniform(-1.0, 3.0, size=(20_000, network.input_shape[1]))
        found = values(network, points)
        clear = np.abs(found) > 1e-5
        np.testing.assert_array_equal(found[clear] > 0.0, inside(points)[clear])
        faces = on_simplices(*mesh, 10_000, rng)
        np.testing.assert_allclose(values(network, faces), 0.0, atol=1e-5)


def test_mesh_with_a_hole_in_its_middle():
    """A square ring: two loops, the inner one not filled."""
    loop = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    sides = np.stack([np.arange(4), (np.arange(4) + 1) % 4], axis=1)
    network = mesh_network(np.vstack([2.0 * loop, loop]), np.vstack([sides, sides + 4]))
    radius = np.array([0.0, 0.9, 1.0, 1.5, 2.0, 2.5])
    found = values(network, np.stack([radius, 0.3 * radius], axis=1))
    np.testing.assert_array_equal(np.sign(np.round(found, 5)), [-1, -1, 0, 1, 0, -1])


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1), n_corners=st.integers(3, 6))
def test_any_star_shaped_polygon(seed, n_corners):
    rng = np.random.default_rng(seed)
    angles = 2.0 * np.pi * (np.arange(n_corners) + rng.uniform(0.0, 0.8, n_corners)) / n_corners
    corners = rng.uniform(0.3, 2.0, (n_corners, 1)) * np.stack(
        [np.cos(angles), np.sin(angles)], axis=1
    )
    sides = np.stack([np.arange(n_corners), np.roll(np.arange(n_corners), -1)], axis=1)
    network = mesh_network(corners, sides)
    points = rng.uniform(-2.0, 2.0, size=(5_000, 2))
    found = values(network, points)
    clear = np.abs(found) > 1e-5
    within = Path(corners).contains_points(points)
    np.testing.assert_array_equal(found[clear] > 0.0, within[clear])
    edges = on_simplices(corners, sides, 2_000, rng)
    np.testing.assert_allclose(values(network, edges), 0.0, atol=1e-5)


# What does not fit


def test_an_open_mesh_is_refused():
    with pytest.raises(ValueError, match="not watertight: 2 of its 6 edges belong to an odd"):
        mesh_network(CORNERS, SIDES[:-1])
    vertices, facets = prism()
    with pytest.raises(ValueError, match="not watertight: 3 of its 30 edges"):
        mesh_network(vertices, facets[1:])


def test_a_degenerate_facet_is_refused():
    with pytest.raises(ValueError, match="is degenerate: remove it"):
        mesh_network([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 0, 1]], [[0, 1, 2], [0, 1, 2]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 2)), np.ones(2), in_cube), r"normals must have shape \(k, d\).*\(2,\)"),
        ((np.zeros((1, 2)), np.ones(1), in_cube), "none of them 0"),
        ((np.full((1, 2), np.nan), np.ones(1), in_cube), "normals must be finite"),
        ((*SQUARE, lambda points: len(points) > 0), r"of shape \(9,\); got \(\)"),
        ((*SQUARE, lambda points: points[:, 0] < 9.0), "not for others; it holds for 9"),
        ((*SQUARE, lambda points: points[:, 0] > 9.0), "not for others; it holds for 0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        polytope_network(*arguments)


def test_facets_must_have_as_many_vertices_as_dimensions():
    with pytest.raises(ValueError, match=r"got shapes \(6, 2\) and \(1, 3\)"):
        mesh_network(CORNERS, [[0, 1, 2]])


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e5])
def test_thin_parts_far_from_the_origin_stay(shift):
    """A unit square with a rib 0.1 wide; float32 rounds by 0.008 at the largest shift."""
    corners = [[0, 0], [1, 0], [1, 1], [0.55, 1], [0.55, 1.5], [0.45, 1.5], [0.45, 1], [0, 1]]
    corners = np.array(corners) + shift
    model = mesh_network(corners, np.column_stack([np.arange(8), np.roll(np.arange(8), -1)]))
    probes = shift + np.array([[0.5, 1.3], [0.5, 0.5], [0.7, 1.3], [-0.2, 0.5], [0.5, 1.7]])
    values = model(probes.astype(np.float32)).numpy()[:, 0]
    np.testing.assert_allclose(values, [0.05, 0.5, -0.15, -0.2, -0.2], atol=0.03)


def test_a_wedge_far_from_the_origin():
    """Two planes through one point have no extent of their own."""
    normals, apex = np.array([[1.0, 0.2], [-0.3, 1.0]]), np.array([40.1, -7.3])
    model = polytope_network(
        normals, -normals @ apex, lambda points: ((points - apex) @ normals.T > 0.0).all(axis=1)
    )
    probes = apex + np.random.default_rng(0).normal(size=(200, 2))
    heights = (probes - apex) @ (normals / np.linalg.norm(normals, axis=1)[:, None]).T
    values = model(probes.astype(np.float32)).numpy()[:, 0]
    np.testing.assert_allclose(values, heights.min(axis=1), atol=1e-4)
