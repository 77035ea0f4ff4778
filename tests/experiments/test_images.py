"""The paper's networks on images, convolutional and dense, and priors of negatives: in small."""

import numpy as np
import pandas as pd
import pytest

from experiments import image_networks, image_priors, image_tables, paper_images, paper_images_dense
from experiments.common.results import finish_cells, read_rows
from experiments.image_data import Images
from experiments.image_peers import nearest_scores, subspace_scores
from experiments.images import cells_of, do_cell
from experiments.paper_images import (
    NETWORKS,
    PRESETS,
    RADII,
    describe,
    draw,
    run_cell,
    scores_in_float64,
    train_network,
)
from ocsdf.networks.convnets import build_convnet, build_downsampling_net, condense_convnet
from ocsdf.networks.lipschitz import float_error
from ocsdf.training.domain import Box
from tests.reference import hkr


@pytest.fixture
def generated(monkeypatch):
    """Bright bars that lie, of class 0, or stand, of class 1."""
    rng = np.random.default_rng(0)
    images = np.float32(rng.uniform(0.0, 0.2, size=(60, 8, 8, 1)))
    images[::2, 3:5] += 0.8
    images[1::2, :, 3:5] += 0.8
    found = Images(images, np.tile([0, 1], 30))
    monkeypatch.setattr(paper_images, "load_images", lambda name: (found, found.take(range(20))))
    monkeypatch.setattr(image_networks, "load_images", lambda name: (found, found))


@pytest.mark.parametrize(
    "network",
    [pytest.param(name, marks=pytest.mark.slow if name == "table 6" else ()) for name in NETWORKS],
)
def test_smoke_preset(network, generated, tmp_path):
    row = run_cell("smoke", network, 0, 0)
    for name in ("certified", "printed"):
        curve = [row[f"{name}_{r}"] for r in RADII]
        assert all(0.0 <= value <= 100.0 for value in curve) and (np.diff(curve) <= 0.0).all()
    # Radii of half the length in units of the scaled image, whose range is 2.
    assert row["certified_8"] == row["printed_16"] and row["certified_36"] == row["printed_72"]
    assert 1.99 < row["bound"] <= 2.0 and 0.0 <= row["slack"] < 1e-9
    assert 0.0 < row["gradient_norm"] <= 1.0 + 1e-6
    rows = pd.DataFrame([{"preset": "smoke", "network": network, "digit": 0, "seed": 0, **row}])
    text = describe(rows, "smoke")
    assert "95.5, 93.2, 89.9, 78.4, 57.5" in text and f"{row['certified_0']:.3g}" in text
    draw(rows, "smoke", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_settings_are_those_of_the_appendix():
    mnist, cifar = PRESETS["paper"], PRESETS["paper_cifar10"]
    assert mnist[:6] == ("mnist", 0.79, 200.0, 16, 70, 10)
    assert cifar[:6] == ("cifar10", 0.11, 1000.0, 32, 90, 10)
    assert mnist.learning_rates == (1e-3, 1e-6) and cifar.learning_rates == (2.5e-4, 2.5e-7)
    assert {s.batch_size for s in (mnist, cifar)} == {128}
    assert {(s.width, s.restarted, s.n_steps) for s in (mnist, cifar)} == {(1.0, 1.0, None)}


def test_channels_are_scaled_to_mean_0_and_deviation_1():
    images = np.float32(np.random.default_rng(0).uniform(size=(50, 4, 4, 3)) * [0.2, 0.5, 1.0])
    mean, scale = paper_images._scaling(images, centered_half=False)
    rows = paper_images._rows(images, mean, scale).reshape(-1, 3)
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=0), 1.0, rtol=1e-5)


def test_channels_are_scaled_by_all_classes(generated, monkeypatch):
    """App. H.2: what one class's images are like does not enter their scale."""
    told = []
    scaling = paper_images._scaling
    monkeypatch.setattr(
        paper_images,
        "_scaling",
        lambda images, *rest: told.append(images) or scaling(images, *rest),
    )
    run_cell("smoke", "downsampling", 0, 0)
    assert len(told[0]) == 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "shape"), [("paper", (28, 28, 1)), ("paper_cifar10", (32, 32, 3))]
)
def test_the_papers_presets_run_at_full_size(preset, shape):
    """Two steps of Table 6's network, all channels, T as printed; eight images a batch, not 128."""
    settings = PRESETS[preset]._replace(n_steps=2, batch_size=8)
    # The first step with T = 0, the second with T = 16 or 32.
    settings = settings._replace(epochs=2, uniform_epochs=1)
    model = build_convnet(shape, seed=0)
    assert model.count_params() > 2_000_000
    n_pixels = int(np.prod(shape))
    points = np.float32(np.random.default_rng(0).uniform(-1.0, 1.0, size=(16, n_pixels)))
    before = [weight.copy() for weight in model.get_weights()]
    losses = train_network(model, points, Box(-np.ones(n_pixels), np.ones(n_pixels)), settings, 0)
    assert losses.shape == (2,) and np.isfinite(losses).all()
    changed = [np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True)]
    assert max(changed) > 1e-5 and np.isfinite(changed).all()


class TestTraining:
    points = np.float32(np.random.default_rng(1).uniform(0.5, 1.0, size=(30, 16)))
    domain = Box(-np.ones(16), np.ones(16))

    def run(self, monkeypatch, n_steps=8, **changes):
        """Return the losses, and the data, the seeds and T of each step."""

        def attract(model, seeds, domain, *, level, eta, steps, lipschitz):
            # Numbers that tell whose negatives these are.
            return seeds * 0.5

        def eagerly(function):
            def call(data, seeds, eta, newton_steps):
                loss, negatives = function(data, seeds, eta, newton_steps)
                calls.append((data.numpy(), seeds.numpy(), int(newton_steps)))
                return loss, negatives

            return call

        calls = []
        monkeypatch.setattr(paper_images, "attract", attract)
        monkeypatch.setattr(paper_images.tf, "function", eagerly)
        model = build_downsampling_net((4, 4, 1), (4,), depth=1)
        settings = PRESETS["smoke"]._replace(n_steps=n_steps, **changes)
        return train_network(model, self.points, self.domain, settings, 0), calls

    def test_first_loss_is_eq_2_of_data_and_negatives(self, monkeypatch):
        losses, calls = self.run(monkeypatch, n_steps=1)
        data, seeds, _ = calls[0]
        model = build_downsampling_net((4, 4, 1), (4,), depth=1)
        f = model(np.concatenate([data, 0.5 * seeds])).numpy()[:, 0].astype(np.float64)
        labels = np.repeat([1.0, -1.0], len(data))
        assert losses[0] == pytest.approx(2.0 * np.mean(hkr(labels, f, 0.79, 200.0)), rel=1e-4)

    def test_negatives_persist_after_the_warm_start(self, monkeypatch):
        _, calls = self.run(monkeypatch, n_steps=14, restarted=0.25)
        assert [newton_steps for *_, newton_steps in calls] == [0] * 2 + [2] * 12
        kept = []
        for (_, last, _), (_, seeds, newton_steps) in zip(calls, calls[1:], strict=False):
            same = (seeds == 0.5 * last).all(axis=1)
            kept.append(same.mean())
            assert newton_steps or not same.any()
        assert 0.5 < np.mean(kept[2:]) < 0.95

    def test_all_seeds_are_fresh_in_the_paper(self, monkeypatch):
        _, calls = self.run(monkeypatch, restarted=1.0)
        for (_, last, _), (_, seeds, _) in zip(calls, calls[1:], strict=False):
            assert not (seeds == 0.5 * last).all(axis=1).any()

    def test_each_image_comes_once_before_any_comes_twice(self, monkeypatch):
        _, calls = self.run(monkeypatch, n_steps=3, batch_size=10)
        rows = np.concatenate([data for data, *_ in calls])
        assert sorted(rows[:, 0].tolist()) == sorted(self.points[:, 0].tolist())


def test_scores_in_float64_lie_within_the_rounding_bound():
    model = condense_convnet(build_convnet((8, 8, 1), (4,), (2,), seed=1))
    rows = np.random.default_rng(0).normal(size=(300, 64))
    rows = np.float32(rows).astype(np.float64)
    exact, rough = scores_in_float64(model, rows), model.predict(rows, verbose=0)[:, 0]
    assert exact.dtype == np.float64 and exact.shape == (300,)
    constant, slope = float_error(model, roundoff=2.0**-24)
    error = np.abs(exact - rough)
    assert error.max() > 0.0 and (error <= constant + slope * np.linalg.norm(rows, axis=1)).all()
    # A row's score does not depend on the others.
    assert (scores_in_float64(model, rows[7:9]) == exact[7:9]).all()


def test_perlin_noise_is_smooth_and_in_range():
    noise = image_priors.perlin_noise(20, 28, 28, np.random.default_rng(0))
    assert noise.shape == (20, 28, 28, 1) and noise.min() >= 0.0 and noise.max() <= 1.0
    # Of white noise, neighbours are not correlated.
    beside = np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1]
    assert beside > 0.7 and noise.std(axis=(1, 2, 3)).max() > 0.1


def test_random_phases_keep_amplitudes_where_nothing_is_clipped():
    rng = np.random.default_rng(0)
    images = 0.5 + 0.02 * rng.standard_normal((1, 8, 8, 1))
    found = image_priors.random_phases(images, 5, rng)
    for image in found:
        np.testing.assert_allclose(
            np.abs(np.fft.rfft2(image[..., 0])), np.abs(np.fft.rfft2(images[0, ..., 0])), atol=1e-9
        )
    assert np.abs(found - images).max() > 0.01


def test_every_prior_trains_and_is_certified(generated, monkeypatch):
    monkeypatch.setattr(image_priors, "_N_SEEDS", 40)
    monkeypatch.setattr(image_priors, "_SIZES", (16,))
    rows = []
    for prior in image_priors.PRIORS:
        row = image_priors.run_cell("mnist", prior, 0, 0, "smoke")
        curve = [row[f"certified_{r}"] for r in image_priors.RADII]
        assert (np.diff(curve) <= 0.0).all() and 0.0 < row["gradient_norm"] <= 1.0 + 1e-5
        rows.append({"images": "mnist", "prior": prior, "label": 0, "seed": 0, **row})
    text = image_priors.describe(pd.DataFrame(rows), image_priors.PRESETS["smoke"])
    assert "Perlin" in text and "Fourier" in text


def test_pixels_of_rows_are_counted(generated):
    """A mean of 2 x 2 pixels moves by at most half of what the image moves in l2."""
    data = image_networks.one_class("mnist", 0, halved=True, standard="centered")
    assert (
        data.shape == (4, 4, 1)
        and data.pixel == pytest.approx(1.0, abs=1e-12)
        and data.rows.min() >= -1.0
    )
    rng = np.random.default_rng(1)
    image, move = rng.uniform(size=(1, 8, 8, 1)), rng.normal(size=(1, 8, 8, 1))
    # The steepest move is constant on blocks.
    blocks = np.repeat(np.repeat(move[:, ::2, ::2], 2, axis=1), 2, axis=2)
    for change, exact in ((move, False), (blocks, True)):
        moved = 2.0 * (image_networks._halved(image + change) - image_networks._halved(image))
        share = np.linalg.norm(moved) / np.linalg.norm(change)
        assert share == pytest.approx(1.0) if exact else share < 1.0


def test_channels_have_mean_0_and_deviation_1_over_all_classes(generated):
    data = image_networks.one_class("mnist", 0, standard="channels")
    train, _ = image_networks.load_images("mnist")
    scale = train.images.std()
    assert data.pixel == pytest.approx(1.0 / scale, rel=1e-5)
    np.testing.assert_allclose(
        data.judged.ravel(), (train.images.ravel() - train.images.mean()) / scale, atol=1e-5
    )
    assert (data.domain.lower <= data.rows.min() + 1e-5).all()


def test_the_papers_method_runs_dense(generated, monkeypatch):
    # The generated images of a class lie near each other.
    monkeypatch.setattr(paper_images_dense, "MARGIN", 0.05)
    monkeypatch.setitem(
        paper_images_dense.PRESETS,
        "smoke",
        paper_images_dense.PRESETS["smoke"]._replace(digits=(0,)),
    )
    rows = []
    for cell in paper_images_dense.cells_of("smoke"):
        row = paper_images_dense.run_cell(**cell)
        curve = [row[f"certified_{r}"] for r in image_networks.RADII]
        assert (np.diff(curve) <= 0.0).all()
        rows.append(cell | row)
    text = paper_images_dense.describe(pd.DataFrame(rows), paper_images_dense.PRESETS["smoke"])
    assert "best (oracle)" in text and "clear seeds" in text


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "images.csv"
    finish_cells(cells_of("smoke"), do_cell, path)
    return read_rows(path)


def test_every_cell_is_done(rows):
    assert [row["error"] for row in rows if "error" in row] == []


def test_guarantees_hold_under_attack(rows):
    attack = next(row for row in rows if row["part"] == "attack")
    radii = [name.split("_")[1] for name in attack if name.startswith("attacked_")]
    assert radii == ["8", "16", "36", "72", "144", "255"]
    assert all(attack[f"attacked_{r}"] >= attack[f"guaranteed_{r}"] - 1e-9 for r in radii)


def test_synthesized_images_reach_the_level(rows):
    made = next(row for row in rows if row["part"] == "synthesis")
    assert made["full_score"] == pytest.approx(made["level"], abs=1e-2)
    assert made["printed_score"] < made["level"]


def test_tables_say_what_the_rows_hold(rows, tmp_path):
    fitted = next(row for row in rows if row["part"] == "ocsdf")
    assert f"{fitted['OCSDF_0']:.2f}" in image_tables.describe(rows)
    image_tables.draw(rows, tmp_path)
    names = {"images_digits_scores.png", "images_digits_synthesis.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_exact_distances_against_brute_force():
    random_state = np.random.default_rng(0)
    train, test = random_state.random((40, 9)), random_state.random((15, 9))
    distances = np.linalg.norm(test[:, None] - train[None], axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_scores(train, test, 0), -distances, atol=1e-7)
    # As many dimensions as features: nothing is left over.
    np.testing.assert_allclose(subspace_scores(train, test, 0), 0.0, atol=1e-6)
