"""Robust training and attacks, in small: passes counted, attacks confined, runs that go on."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from experiments import robust_attacks, robust_training, robustness
from experiments.image_data import Images
from experiments.robust_attacks import make_apgd, make_pgd
from experiments.robust_losses import (
    PREPARE,
    Counted,
    across,
    cross_entropy,
    negative_margin,
)
from experiments.robust_problems import PROBLEMS, resnet_18
from experiments.robustness import Preset, describe, draw, table_of, verdict, white_box

RNG = np.random.default_rng(0)
SEED = tf.constant([1, 2])
DIGITS = PROBLEMS["ConvNet-4a"]
OUR_RADIUS, TRAIN_STEP, RADIUS = DIGITS.our_radius, DIGITS.train_step, DIGITS.attack_radius
# Where no image of a batch of 20 is on a boundary, one of zeros passes twice in their place.
STAND_IN = 2 / 20


def affine_classifier(weights, bias):
    """Two classes with the logits F / 2 and -F / 2, F = w x + b, of images (4, 4, 1)."""
    dense = keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), dense])
    weights = np.reshape(weights, (16, 1))
    dense.set_weights([np.hstack([weights, -weights]) / 2.0, np.array([bias, -bias]) / 2.0])
    return model


def batch(n_images=20, low=0.0, high=1.0):
    images = RNG.uniform(low, high, size=(n_images, 4, 4, 1)).astype(np.float32)
    return tf.constant(images), tf.zeros(n_images, tf.int64)


def passes(method, network, images, labels):
    """The loss of a step, and the passes an image: in a graph, as images that rest leave none."""

    @tf.function
    def step():
        mean = PREPARE[method](network, images, labels, SEED, 10, DIGITS)
        with tf.GradientTape() as tape:
            loss = mean()
        return loss, tape.gradient(loss, network.model.trainable_variables)

    loss, _ = step()
    n_images = len(images)
    return float(loss), network.forward.numpy() / n_images, network.backward.numpy() / n_images


@pytest.mark.parametrize(
    ("method", "forward", "backward"), [("Standard", 1, 1), ("Madry", 8, 8), ("TRADES", 10, 9)]
)
def test_passes_are_counted(method, forward, backward):
    """PGD-7 and one step of training; TRADES sees the images themselves twice more."""
    network = Counted(affine_classifier(RNG.normal(size=16), 0.1))
    assert passes(method, network, *batch())[1:] == (forward, backward)


def test_ours_leaves_images_alone_whose_boundary_is_out_of_reach():
    """|F| > eps |w|_1: no loss; values, six steps, both ends, where they stay: as many as Madry."""
    weights = np.full(16, 0.5)
    network = Counted(affine_classifier(weights, 20.0))
    assert passes("ours", network, *batch()) == (0.0, 10.0 + STAND_IN, 6.0 + STAND_IN)


def test_ours_costs_no_more_than_its_bound_and_stops_early():
    weights = RNG.normal(size=16)
    network = Counted(affine_classifier(weights, 0.1))
    loss, forward, backward = passes("ours", network, *batch())
    assert loss > 0.0
    # Of affine networks, false position finds the boundary at once.
    assert 1 + 1 + 2 + 1 + 2 <= forward <= 1 + 6 + 2 + 1 + 1 + 2 and backward <= 6 + 1 + 1


def test_our_loss_teaches_misclassified_images_whose_boundary_is_out_of_reach():
    """They lose their cross-entropy: of two logits F / 2 and -F / 2, softplus(-F)."""
    model = affine_classifier(np.full(16, 0.5), -20.0)
    images, labels = batch()
    loss, forward, backward = passes("ours", Counted(model), images, labels)
    lead = 2.0 * model(images)[:, 0].numpy()
    np.testing.assert_allclose(loss, np.logaddexp(0.0, -lead).mean(), rtol=1e-4)
    # One more of each than of images that are left alone.
    assert (forward, backward) == (11.0 + STAND_IN, 7.0 + STAND_IN)
    step = robust_training._make_step(Counted(model), "ours", DIGITS, 10, keras.optimizers.SGD(0.5))
    step(images, labels, SEED)
    assert (2.0 * model(images)[:, 0].numpy() > lead).all()


def test_our_loss_in_closed_form():
    """F = w (x_1 + b) with w > 0 sees one pixel: rho is the distance to the boundary along it."""
    weights = np.zeros(16)
    weights[0] = 2.0
    images, labels = batch(6)
    # One is on the boundary but for 0.002.
    pixel = np.array([0.1, 0.3, 0.502, 0.6, 0.85, 0.95], np.float32)
    images = images.numpy()
    images[:, 0, 0, 0] = pixel
    network = Counted(affine_classifier(weights, -2.0 * 0.5))
    loss, *_ = passes("ours", network, tf.constant(images), labels)
    signed = pixel - 0.5
    expected = np.where(signed > OUR_RADIUS, 0.0, np.maximum(0.0, OUR_RADIUS - signed)).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-3)


def test_our_loss_moves_the_boundary_away_from_images():
    weights = np.zeros(16)
    weights[0] = 1.0
    model = affine_classifier(weights, -0.5)
    images, labels = batch(4, 0.6, 0.8)
    step = robust_training._make_step(Counted(model), "ours", DIGITS, 10, keras.optimizers.SGD(0.5))
    before = float(np.mean(model(images)[:, 0]))
    for _ in range(3):
        step(images, labels, SEED)
    assert float(np.mean(model(images)[:, 0])) > before + 0.05


@pytest.mark.parametrize("bias", [0.3, -0.3])
def test_search_across_the_boundary(bias):
    """Correct images stay within the ball, and all that can cross do."""
    weights = RNG.normal(size=16)
    network = Counted(affine_classifier(weights, bias - weights.sum() / 2.0))
    images, labels = batch(50)
    values, ends = tf.function(across)(network, images, labels, 0.2, 0.1, 7, SEED)
    at_ends = network.lead(ends, labels).numpy()
    np.testing.assert_allclose(values, network.lead(images, labels), rtol=1e-5)
    correct = values.numpy() > 0.0
    assert 0 < correct.sum() < 50
    offset = np.abs(ends - images).reshape(50, -1).max(axis=1)
    assert offset[correct].max() <= 0.2 + 1e-6
    assert ends.numpy().min() >= 0.0 and ends.numpy().max() <= 1.0
    # The least F in the ball and the box, and the greatest in the box.
    flat, sign = images.numpy().reshape(50, -1), np.sign(weights)
    worst = np.clip(np.clip(flat - 0.2 * sign, flat - 0.2, flat + 0.2), 0.0, 1.0)
    least = worst @ weights + bias - weights.sum() / 2.0
    np.testing.assert_array_equal(at_ends[correct] < 0.0, least[correct] < 0.0)
    assert (at_ends[~correct] > 0.0).all()


@pytest.mark.parametrize("loss", [cross_entropy, negative_margin])
def test_pgd_reaches_the_worst_corner_of_an_affine_classifier(loss):
    weights = RNG.normal(size=16)
    model = affine_classifier(weights, 0.1)
    images, labels = (part.numpy() for part in batch(300))
    found = make_pgd(model, images, labels, loss, RADIUS, 0.01, 70)
    corner = np.clip(images - RADIUS * np.sign(weights).reshape(4, 4, 1), 0.0, 1.0)
    np.testing.assert_allclose(found, corner, atol=1e-5)
    halfway = make_pgd(model, images, labels, loss, RADIUS, 0.01, 3)
    assert np.abs(halfway - images).max() <= RADIUS + 1e-6
    assert halfway.min() >= 0.0 and halfway.max() <= 1.0


def test_apgd_stays_in_its_ball_and_is_as_strong_as_pgd_on_an_affine_classifier():
    pytest.importorskip("art.attacks.evasion")
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    images, labels = (part.numpy() for part in batch(30))
    found = make_apgd(model, images, labels, RADIUS, 20)
    assert np.abs(found - images).max() <= RADIUS + 1e-6
    assert found.min() >= 0.0 and found.max() <= 1.0
    pgd = make_pgd(model, images, labels, negative_margin, RADIUS, 0.01, 70)
    lead = [float(np.mean(negative_margin(model, x, labels) > 0.0)) for x in (found, pgd)]
    assert lead[0] >= lead[1] - 0.05


def digits(n_images, seed, shape=(28, 28, 1)):
    """Two classes of noise, one bright and one dark."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n_images)
    images = 0.5 * rng.random((n_images, *shape)) + 0.5 * labels[:, None, None, None]
    return Images(images.astype(np.float32), labels)


@pytest.fixture
def generated(monkeypatch):
    sets = digits(256, 0), digits(60, 1)
    for module in (robust_training, robust_attacks):
        monkeypatch.setattr(module, "load_images", lambda name: sets)


CELL = {"network": "ConvNet-4a", "seed": 0, "width": 0.05, "n_train": 256, "epochs": 2}
CELL |= {"iterations": 10}


def test_training_goes_on_from_its_checkpoint_as_if_it_had_never_stopped(
    generated, monkeypatch, tmp_path
):
    whole = robust_training.train("Standard", **CELL, folder=tmp_path / "whole")
    keep = robust_training._keep

    def stop(*arguments):
        keep(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(robust_training, "_keep", stop)
    with pytest.raises(KeyboardInterrupt):
        robust_training.train("Standard", **CELL, folder=tmp_path / "parts")
    monkeypatch.setattr(robust_training, "_keep", keep)
    parts = robust_training.train("Standard", **CELL, folder=tmp_path / "parts")
    models = [
        robust_training.load_model(tmp_path / name, method="Standard", **CELL)
        for name in ("whole", "parts")
    ]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert parts["forward"] == whole["forward"] == 1.0
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("method", "network"),
    [
        ("TRADES", "ConvNet-4b"),
        pytest.param("ours", "ConvNet-4b", marks=pytest.mark.slow),
        pytest.param("ours", "ResNet-18", marks=pytest.mark.slow),
    ],
)
def test_networks_of_coloured_images_are_trained_and_attacked(
    method, network, monkeypatch, tmp_path
):
    sets = digits(256, 0, (32, 32, 3)), digits(60, 1, (32, 32, 3))
    for module in (robust_training, robust_attacks):
        monkeypatch.setattr(module, "load_images", lambda name: {"cifar10": sets}[name])
    cell = CELL | {"method": method, "network": network, "width": 0.0625, "n_train": 128}
    assert np.isfinite(robust_training.train(**cell, folder=tmp_path)["loss"])
    del cell["method"]
    row = robust_attacks.attack("PGD margin", method, method, 20, 3, tmp_path, **cell)
    packed = np.frombuffer(bytes.fromhex(row[f"right_{method}"][1:]), dtype=np.uint8)
    assert row[f"accuracy_{method}"] == 100.0 * np.unpackbits(packed, count=20).mean()


@pytest.mark.slow
def test_resnet_18_with_batch_normalization_takes_two_robust_steps_at_full_size():
    model = resnet_18(seed=0, batch_norm=True)
    n_trained = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert n_trained == 11_173_962
    network, rng = Counted(model), np.random.default_rng(0)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    step = robust_training._make_step(network, "ours", PROBLEMS["ResNet-18"], 4, optimizer)
    images = tf.constant(rng.uniform(size=(4, 32, 32, 3)), tf.float32)
    labels, before = tf.constant([0, 3, 5, 9]), [w.copy() for w in model.get_weights()]
    losses = [float(step(images, labels, tf.constant([1, k]))) for k in range(2)]
    assert np.isfinite(losses).all()
    changed = [np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True)]
    assert max(changed) > 1e-4 and np.isfinite(changed).all()


def test_resnet_18_has_the_size_of_the_papers_and_sees_one_image_at_a_time():
    assert resnet_18().count_params() == 11_173_962
    model = resnet_18(width=0.125, seed=0)
    images = RNG.random((4, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(model(images)[:1], model(images[:1]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model(images, training=True), model(images, training=False), rtol=1e-5, atol=1e-6
    )
    again = resnet_18(width=0.125, seed=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_augmented_images_are_shifted_and_mirrored():
    images = RNG.uniform(0.1, 1.0, size=(40, 6, 5, 2)).astype(np.float32)
    found = robust_training.augment(images, np.random.default_rng(0))
    kinds = set()
    for image, one in zip(images, found, strict=True):
        candidates = {
            (mirrored, top, left): np.pad(
                image[:, :: -1 if mirrored else 1], ((4, 4), (4, 4), (0, 0))
            )[top : top + 6, left : left + 5]
            for mirrored in (False, True)
            for top in range(9)
            for left in range(9)
        }
        kinds.add(next(key for key, part in candidates.items() if np.array_equal(part, one)))
    assert len(kinds) > 30 and {mirrored for mirrored, *_ in kinds} == {False, True}


def test_a_model_that_is_not_there_is_not_attacked(tmp_path):
    with pytest.raises(FileNotFoundError, match="the model is trained again"):
        robust_training.load_model(tmp_path, method="Standard", **CELL)


def test_without_an_attack_nothing_is_trained(monkeypatch, tmp_path):
    monkeypatch.setattr(robustness, "find_spec", lambda name: None)
    monkeypatch.setattr(
        "sys.argv", ["robustness", "--attacks", "APGD margin", "--output", str(tmp_path)]
    )
    with pytest.raises(SystemExit, match="No attack is left"):
        robustness.main()
    assert not any(tmp_path.iterdir())


def test_a_run_writes_its_tables_and_goes_on(generated, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(
        robustness.PRESETS, "smoke", Preset(1, "ConvNet-4a", 0.05, 128, 1, 3, 20, 2, 2)
    )
    methods, attacks = ["Standard", "ours"], ["PGD cross-entropy", "PGD margin"]
    monkeypatch.setattr(
        "sys.argv",
        ["robustness", "--preset", "smoke", "--output", str(tmp_path), "--work", str(tmp_path)]
        + ["--methods", *methods, "--attacks", *attacks],
    )
    robustness.main()
    rows = pd.read_csv(tmp_path / "robustness_smoke.csv")
    accuracy = rows[["accuracy_Standard", "accuracy_ours"]].to_numpy()
    assert accuracy.shape == (2 * 2, 2) and np.all((accuracy >= 0.0) & (accuracy <= 100.0))
    trained = pd.read_csv(tmp_path / "robustness_smoke_training.csv").set_index("method")
    assert trained.loc["Standard", ["forward", "backward"]].tolist() == [1.0, 1.0]
    assert "Not all models are there yet." in capsys.readouterr().out

    def refuse(*_, **__):
        raise ValueError("done again")

    for name in ("train", "attack"):
        monkeypatch.setattr(robustness, name, refuse)
    robustness.main()


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_tables_and_figure(n_seeds, tmp_path):
    names = ("Madry", "TRADES", "ours")
    trained = pd.DataFrame(
        [
            {"method": name, "seed": seed, "forward": 8.0, "backward": 8.0, "clean": 98.0 + seed}
            | {"network": "ConvNet-4a", "width": 1.0, "n_train": 12_000, "epochs": 10}
            for seed in range(n_seeds)
            for name in names
        ]
    )
    right = {"PGD cross-entropy": "xe0", "PGD margin": "x70"}
    rows = [
        {"attack": name, "source": source, "seed": seed, "targets": ", ".join(names), "n_test": 4}
        | {f"accuracy_{t}": 75.0 - 5.0 * (t == "TRADES") for t in names}
        | {f"right_{t}": text for t in names}
        for seed in range(n_seeds)
        for source in names
        for name, text in right.items()
    ]
    attacked = table_of(pd.DataFrame(rows))
    lines = white_box(trained, attacked)
    assert lines["all attacks"].tolist() == [50.0] * 3 * n_seeds
    strongest = lines["strongest"].xs(0, level="seed")
    assert strongest.to_dict() == {"Madry": 75.0, "TRADES": 70.0, "ours": 75.0}
    told = verdict(trained, attacked)
    assert "ours keeps 75.0 %, Madry 75.0 %, TRADES 70.0 %." in told
    assert f"seed by seed: {', '.join(['+0.0'] * n_seeds)}." in told
    text = describe(trained, attacked)
    assert "| attacked \\ made against" in text
    assert ("| 98.5 +- 0.7 |" in text and "over 2 seeds" in text) == (n_seeds == 2)
    assert ("| 98.0    |" in text and "One seed." in text) == (n_seeds == 1)
    draw(trained, attacked, tmp_path / "bars.png")
    assert (tmp_path / "bars.png").stat().st_size > 8_000
