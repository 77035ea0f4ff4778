"""Generalization from few labels, in small: the loss, the choice of rates, a whole run."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from experiments import few_label_training, few_labels
from experiments.few_label_training import ENTROPY, GEOMETRIC, HINGE, LOSSES, NORMS, fit
from experiments.few_labels import choose, describe, draw
from experiments.image_data import Images, load_images

TWO = (GEOMETRIC, ENTROPY)
RNG = np.random.default_rng(0)


def stripes(n_images, rng):
    """Images whose upper half is bright for even classes, and the lower one for odd."""
    labels = rng.integers(10, size=n_images)
    images = 0.3 * rng.random((n_images, 28, 28, 1))
    images[labels % 2 == 0, :14] += 0.6
    images[labels % 2 == 1, 14:] += 0.6
    return Images(images.astype(np.float32), labels)


@pytest.fixture
def generated(monkeypatch):
    sets = stripes(400, RNG), stripes(100, RNG)
    monkeypatch.setattr(few_label_training, "load_images", lambda name: sets)


def affine_model(weights, bias):
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.set_weights([np.reshape(weights, (4, 1)), np.array([bias])])
    return model


def one_step(loss, iterations, images, labels, weights, bias):
    """The weights after one step without weight decay, of SGD whose first step is the gradient."""
    model = affine_model(weights, bias)
    optimizer = keras.optimizers.SGD(0.1)
    step = few_label_training._make_step(model, loss, iterations, optimizer)
    share = step(*map(tf.constant, (images, labels, np.float32(0.0))))
    return np.concatenate([part.ravel() for part in model.get_weights()]), float(share)


@pytest.mark.parametrize("loss", NORMS)
def test_geometric_svm_without_its_margin_term_is_the_hinge_loss_of_an_affine_network(loss):
    """CNLS Eq. 11 with lambda = 0: distances over Delta are |F|, in l-inf, too."""
    images = RNG.normal(size=(16, 2, 2, 1)).astype(np.float32)
    weights = np.array([1.0, -0.5, 0.25, 0.75], np.float32)
    # On the boundary itself, to the tolerance, the distance has no slope.
    images = images[np.abs(images.reshape(16, 4) @ weights + 0.2) > 0.1]
    labels = RNG.choice([-1.0, 1.0], len(images)).astype(np.float32)
    hinge, _ = one_step(HINGE, 5, images, labels, weights, 0.2)
    geometric, share = one_step(loss, 5, images, labels, weights, 0.2)
    assert share == 1.0
    np.testing.assert_allclose(geometric, hinge, rtol=1e-4)
    assert np.abs(hinge - [*weights, 0.2]).max() > 1e-2


def test_points_whose_levels_are_not_found_count_by_the_hinge_loss():
    images = RNG.normal(size=(8, 2, 2, 1)).astype(np.float32)
    labels = np.ones(8, np.float32)
    weights = np.full(4, 0.5, np.float32)
    hinge, _ = one_step(HINGE, 0, images, labels, weights, -3.0)
    geometric, share = one_step(GEOMETRIC, 0, images, labels, weights, -3.0)
    assert share == 0.0
    np.testing.assert_allclose(geometric, hinge, rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_separable_images(loss):
    data = stripes(64, np.random.default_rng(1))
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.AveragePooling2D(7), keras.layers.Flatten()]
    )
    model.add(keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(0)))
    labels = few_label_training.parity(data.labels)
    found = fit(model, data.images, labels, loss, 0.02, 0.1, 8, 5, 32, np.random.default_rng(2))
    assert (
        few_label_training.accuracy(few_label_training.predict(model, data.images), data.labels)
        == 100.0
    )
    assert found == (pytest.approx(100.0) if loss in NORMS else None)


def test_rates_are_chosen_by_held_out_rows_then_by_their_loss_and_never_by_test_rows():
    def row(loss, rate, seed, held_out, held_out_loss, test):
        key = {"images": "mnist", "fraction": 0.01, "loss": loss, "rate": rate, "seed": seed}
        key["weight"] = 0.0
        return key | {"held_out": held_out, "held_out_loss": held_out_loss, "test": test}

    rows = pd.DataFrame(
        [
            row(HINGE, 0.1, 0, 80.0, 0.1, 99.0),
            row(HINGE, 0.1, 1, 80.0, 0.1, 99.0),
            row(HINGE, 0.2, 0, 70.0, 0.9, 10.0),
            row(HINGE, 0.2, 1, 100.0, 0.9, 10.0),
            row(ENTROPY, 0.1, 0, 90.0, 0.5, 99.0),
            row(ENTROPY, 0.2, 0, 90.0, 0.4, 10.0),
        ]
    )
    chosen = choose(rows).set_index("loss")["rate"]
    assert chosen.to_dict() == {HINGE: 0.2, ENTROPY: 0.2}


def test_parity():
    np.testing.assert_array_equal(few_label_training.parity(np.arange(4)), [1.0, -1.0, 1.0, -1.0])
    assert (
        few_label_training.accuracy(np.array([0.5, 0.5, -2.0, -0.1]), np.array([0, 1, 3, 2]))
        == 50.0
    )


def test_a_run_writes_its_tables_and_goes_on_where_it_was_stopped(generated, monkeypatch, tmp_path):
    tiny = few_labels.Preset(
        {0.1: 2, 0.2: 1}, dict.fromkeys(TWO, ((0.02, 0.1),)), 0.125, 2, 3, 32, 1, 100
    )
    monkeypatch.setitem(few_labels.PRESETS, "smoke", tiny)
    argv = ["few_labels", "--preset", "smoke", "--images", "mnist", "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", argv)
    few_labels.main()
    rows = pd.read_csv(tmp_path / "few_labels_smoke.csv")
    counts = rows.groupby("fraction")["test"].count()
    assert counts.to_dict() == {0.1: 2 * len(TWO), 0.2: len(TWO)}
    assert rows["test"].between(0.0, 100.0).all()
    text = (tmp_path / "few_labels_smoke.md").read_text()
    assert "| 10 %" in text and "ConvNet-2b at 0.125 of its width, 2 epochs" in text

    def refuse(**cell):
        raise ValueError("trained again")

    monkeypatch.setattr(few_labels, "train_and_judge", refuse)
    few_labels.main()
    monkeypatch.setattr("sys.argv", [*argv, "--seeds", "3"])
    with pytest.raises(SystemExit, match="trained again"):
        few_labels.main()


def test_unknown_fractions_are_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["few_labels", "--fractions", "5"])
    with pytest.raises(SystemExit):
        few_labels.main()
    assert "fractions must be of [0.001, 0.005, 0.01]; got [5.0]" in capsys.readouterr().err


def test_table_and_figure(tmp_path):
    rows = pd.DataFrame(
        [
            {"images": images, "fraction": fraction, "loss": loss, "rate": 0.02, "seed": seed}
            | {"test": 90.0 + i + seed, "reached": 80.0 if loss in NORMS else np.nan}
            | {"width": 0.5, "epochs": 60, "iterations": 5, "weight": 0.0, "held_out_loss": 0.5}
            for images in ("mnist", "fashion_mnist")
            for fraction in (0.001, 0.005)
            for i, loss in enumerate(LOSSES)
            for seed in (0, 1)
        ]
    )
    better = rows[rows["loss"] == HINGE].assign(rate=0.01)
    better["test"] += 4.0
    chosen, oracle = describe(rows, pd.concat([rows, better])).split("(oracle)")
    assert "97.50 +- 0.71" in oracle and "97.50 +- 0.71" not in chosen
    text = describe(rows, rows)
    assert "| 0.1 %" in text and "90.50 +- 0.71" in text and "| hinge  |" in text
    draw(rows, tmp_path / "few.png")
    assert (tmp_path / "few.png").stat().st_size > 8_000


@pytest.fixture
def fresh():
    """No set is kept from another data home, nor for one."""
    load_images.cache_clear()
    yield
    load_images.cache_clear()


def test_images_are_read_from_the_data_home(fresh, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    arrays = {
        "x_train": RNG.integers(256, size=(3, 28, 28), dtype=np.uint8),
        "y_train": np.array([1, 2, 3], np.uint8),
        "x_test": np.full((2, 28, 28), 255, np.uint8),
        "y_test": np.array([4, 5], np.uint8),
    }
    np.savez(tmp_path / "images" / "mnist.npz", **arrays)
    monkeypatch.setenv("OCSDF_DATA_HOME", str(tmp_path))
    train, test = load_images("mnist")
    assert train.images.shape == (3, 28, 28, 1) and test.images.max() == test.images.min() == 1.0
    np.testing.assert_allclose(train.images[..., 0] * 255.0, arrays["x_train"], rtol=1e-6)
    assert test.take([1]).labels.tolist() == [5]


def test_images_that_are_not_there(fresh, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"one of \['mnist', .*\]; got 'cifar'"):
        load_images("cifar")
    monkeypatch.setenv("OCSDF_DATA_HOME", str(tmp_path))

    def offline():
        raise OSError("no route")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", offline)
    with pytest.raises(FileNotFoundError, match=r"images.mnist.npz .*OCSDF_DATA_HOME .no route"):
        load_images("mnist")


def test_each_set_has_its_own_course_of_table_b2():
    courses = few_label_training.OWN_COURSES
    # Of 200, 200 and 100 epochs.
    assert [200 * share for share in courses["mnist"].halvings] == [50, 100, 120, 140, 160, 180]
    assert [200 * share for share in courses["fashion_mnist"].halvings] == [50, 100, 120]
    assert [100 * share for share in courses["cifar10"].halvings] == [50]
    # lambda grows from 0.01 to 0.2, and from 0 to 0.01, over 50 epochs.
    assert 0.2 * courses["mnist"].beginning == pytest.approx(0.01)
    assert 200 * courses["mnist"].growth == 50 == 100 * courses["cifar10"].growth
    assert courses["cifar10"].beginning == 0.0
    for name in ("printed", "cifar10"):
        preset = few_labels.PRESETS[name]
        assert preset.course == "own" and few_label_training.GEOMETRIC_LINF in preset.settings


def test_cifar_10_is_learned_by_convnet_4b(monkeypatch):
    rng = np.random.default_rng(0)
    images = Images(np.float32(rng.uniform(size=(100, 32, 32, 3))), rng.integers(10, size=100))
    monkeypatch.setattr(few_label_training, "load_images", lambda name: (images, images))
    cell = {"images": "cifar10", "fraction": 0.2, "rate": 0.01, "weight": 0.01, "seed": 0}
    cell |= {"width": 0.125, "epochs": 2, "iterations": 2, "batch_size": 32, "n_test": 20}
    row = few_label_training.train_and_judge(
        loss=few_label_training.GEOMETRIC_LINF, course="own", **cell
    )
    assert 0.0 <= row["test"] <= 100.0 and 0.0 <= row["reached"] <= 100.0
