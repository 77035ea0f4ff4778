"""The toy experiments: exact signed distances, networks, variants of both, the whole in small."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from experiments import toy2d
from experiments import toy_variants as variants
from experiments.toy2d_data import SHAPES, TOY_SETS, clear_seeds, draw_ring, draw_toy_set
from experiments.toy2d_figures import draw_contours, grid_points, png
from experiments.toy2d_networks import fit_conventional, slope_of
from experiments.toy2d_tables import CLEAR, PRINTED
from ocsdf.training.domain import Ball

# Circles around centers that bound each shape, and which side of them is inside.
CIRCLES = {
    "disc": [((0.0, 0.0), 1.0)],
    "ring": [((0.0, 0.0), 1.0), ((0.0, 0.0), 0.5)],
    "two discs": [((-1.0, 0.0), 0.5), ((1.0, 0.0), 0.5)],
}


def is_inside(name, points):
    radius = np.linalg.norm(points, axis=1)
    if name == "two discs":
        offsets = points[:, None] - np.array([[-1.0, 0.0], [1.0, 0.0]])
        return (np.linalg.norm(offsets, axis=2) <= 0.5).any(axis=1)
    return (radius <= 1.0) & (radius >= 0.5) if name == "ring" else radius <= 1.0


@pytest.mark.parametrize("name", SHAPES)
def test_signed_distance_is_the_distance_to_a_finely_drawn_edge(name):
    angle = np.linspace(0.0, 2.0 * np.pi, 50_000)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    edge = np.concatenate([center + radius * circle for center, radius in CIRCLES[name]])
    points = np.random.default_rng(0).uniform(-2.0, 2.0, (500, 2))
    distance, _ = cKDTree(edge).query(points)
    expected = np.where(is_inside(name, points), distance, -distance)
    np.testing.assert_allclose(SHAPES[name].signed_distance(points), expected, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_rows_of_a_shape_are_uniform_inside_it(name):
    rows = SHAPES[name].draw(40_000, np.random.default_rng(0))
    assert SHAPES[name].signed_distance(rows).min() >= -1e-12
    # Second moments about the origin, of each column: those of a uniform density.
    moments = {
        "disc": (1 / 4, 1 / 4),
        "ring": (5 / 16, 5 / 16),
        "two discs": (1 + 1 / 16, 1 / 16),
    }
    np.testing.assert_allclose(np.mean(rows**2, axis=0), moments[name], rtol=0.03)
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=0.03)


def test_toy_sets_are_standardized_follow_their_seed_and_have_the_printed_margins():
    for name in TOY_SETS:
        rows = draw_toy_set(name, 200, 1)
        assert rows.shape == (200, 2)
        np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-12)
        np.testing.assert_allclose(rows.std(axis=0), 1.0)
        np.testing.assert_array_equal(rows, draw_toy_set(name, 200, 1))
        assert np.abs(rows - draw_toy_set(name, 200, 2)).max() > 0.1
    margins = [toy.margin for toy in TOY_SETS.values()]
    assert margins == [0.05, 0.05, 0.05, 0.1, 0.05]


def test_seeds_keep_clear_of_the_rows_and_fill_the_rest():
    rows = draw_ring(0.0, 1.0, 2_000, np.random.default_rng(0))
    ball = Ball.from_data(rows)
    seeds = clear_seeds(ball, rows, 0.2)(4_000, np.random.default_rng(1))
    assert seeds.shape == (4_000, 2) and seeds.dtype == np.float32
    nearest, _ = cKDTree(rows).query(seeds)
    assert nearest.min() >= 0.2
    assert np.all(ball.contains(seeds))
    # The area between radius 1.5 and 2, of that between the shell and the edge of B.
    radius, edge = np.linalg.norm(seeds, axis=1), float(ball.radius)
    share = (2.0**2 - 1.5**2) / (edge**2 - 1.19**2)
    assert np.mean((radius > 1.5) & (radius < 2.0)) == pytest.approx(share, abs=0.03)


def test_no_clear_point_is_said_plainly():
    rows = np.zeros((3, 2))
    sample = clear_seeds(Ball(np.zeros(2), 1.0), rows, 5.0)
    with pytest.raises(
        ValueError, match=r"none of 10 points of B .* more than 5 .* smaller margin"
    ):
        sample(10, np.random.default_rng(0))


def test_conventional_network_separates_data_from_far_points_and_grows_steep():
    rows = draw_toy_set("one cloud", 300, 0)
    model = fit_conventional(rows, Ball.from_data(rows), 16, 150, 0.05, 0)
    logits = model(rows.astype(np.float32)).numpy()[:, 0]
    far = model(np.float32([[5.0, 0.0], [0.0, -5.0], [-3.5, 3.5]])).numpy()[:, 0]
    assert np.mean(logits > 0.0) > 0.8 and far.max() < 0.0
    # Finite differences agree with the gradient norm where the network is affine.
    points, step = rows[:50], 1e-3
    columns = [
        (model(np.float32(points + step * e)) - model(np.float32(points - step * e))).numpy()[:, 0]
        for e in np.eye(2)
    ]
    differences = np.hypot(*columns) / (2.0 * step)
    found = slope_of(model)(points)
    assert np.median(np.abs(found - differences)) < 1e-2 * np.median(found)
    assert found.max() > 1.0


def test_grid_is_laid_as_pictures_take_it():
    grid = grid_points(2.0, 3)
    np.testing.assert_array_equal(grid[:4], [[-2, -2], [0, -2], [2, -2], [-2, 0]])
    rows = draw_toy_set("two moons", 50, 0)
    responses = {"right half": np.sign(grid_points(2.0, 21)[:, 0])}
    figure = draw_contours("moons", rows, 2.0, responses)
    (boundary,) = [c for c in figure.axes[0].collections if np.array_equal(c.levels, [0.0])]
    vertices = boundary.get_paths()[0].vertices
    np.testing.assert_allclose(vertices[:, 0], 0.0, atol=0.2)
    assert np.ptp(vertices[:, 1]) == pytest.approx(4.0)
    assert png(figure).startswith(b"\x89PNG")


@pytest.fixture
def smoke(monkeypatch, tmp_path):
    """Two toy sets and one shape: each network is compiled for a second."""
    monkeypatch.setattr(toy2d, "TOY_SETS", dict(list(TOY_SETS.items())[:2]))
    monkeypatch.setattr(toy2d, "SHAPES", {"ring": SHAPES["ring"]})
    arguments = ["--preset", "smoke", "--output", str(tmp_path), "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", ["toy2d", *arguments])
    return tmp_path


def test_smoke_writes_tables_and_pictures_and_does_no_cell_twice(smoke, monkeypatch, capsys):
    toy2d.main()
    text = (smoke / "toy2d.md").read_text()
    assert capsys.readouterr().out == text + "\n"
    rows = pd.read_csv(smoke / "toy2d.csv")
    assert list(rows["name"]) == ["one cloud", "two circles", *["ring"] * 4]
    assert list(rows["setting"]) == ["toy", "toy", PRINTED, *[CLEAR] * 3]
    ours = rows.filter(regex="^(ours_slope|slope)")
    assert ours.shape[1] == 7 and ours.max().max() <= 1.0 + 1e-5
    # |f| grows by no more than the distance.
    assert (rows["ours_far"][:2] <= 1_000.0 + rows["ours_largest"][:2]).all()
    pictures = sorted(path.name for path in (smoke / "toy2d").iterdir())
    named = ["contours_one_cloud.png", "contours_two_circles.png"]
    named += ["histograms.png", "score_against_distance.png", "signed_distance.png"]
    assert pictures == named
    assert all(f"toy2d/{name}" in text for name in pictures)
    monkeypatch.setattr(toy2d, "run_cell", lambda **cell: pytest.fail("done twice"))
    toy2d.main()
    assert (smoke / "toy2d.md").read_text() == text


def test_complementary_distributions_are_fix_points():
    found = variants.fix_points(variants.PRESETS["smoke"], seed=3)
    # No negative crosses the level -m, which lies 2 m away; and they do move.
    assert found["nearest"] >= 1.0 - 1e-9 and found["moved"] > 0.1


def test_the_exact_minimizer_is_what_theorem_1_says():
    points = np.random.default_rng(0).normal(size=(50, 2))
    values, gradient = variants.ExactDisc().value_and_gradient(points)
    shape = variants.SHAPES["disc"]
    np.testing.assert_allclose(values, shape.signed_distance(points) + 0.05, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=1), 1.0)


@pytest.mark.slow
def test_smoke_preset_does_every_variant(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "--preset", "smoke", "--output", str(tmp_path)])
    variants.main()
    rows = pd.read_csv(tmp_path / "toy_variants_smoke.csv")
    expected = ["exact", *variants.UPDATES, *variants.VARIANTS]
    assert rows["variant"].tolist() == expected and "error" not in rows
    text = (tmp_path / "toy_variants_smoke.md").read_text()
    assert "Algorithm 2" in text and "He's weights" in text
