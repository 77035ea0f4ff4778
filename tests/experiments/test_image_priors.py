"""Priors of negatives, and the dense network of images that they are tried with."""

import numpy as np
import pandas as pd
import pytest

from experiments import image_networks, image_priors, paper_images_dense
from experiments.image_data import Images


@pytest.fixture
def generated(monkeypatch):
    """Bright bars that lie, of class 0, or stand, of class 1."""
    rng = np.random.default_rng(0)
    images = np.float32(rng.uniform(0.0, 0.2, size=(60, 8, 8, 1)))
    images[::2, 3:5] += 0.8
    images[1::2, :, 3:5] += 0.8
    found = Images(images, np.tile([0, 1], 30))
    monkeypatch.setattr(image_networks, "load_images", lambda name: (found, found))


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
