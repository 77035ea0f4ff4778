"""ImageOCSDF: what images are (P8), units, errors, certificates, files; negatives and cones."""

import tracemalloc

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from ocsdf import ImageOCSDF
from ocsdf.attacks.gradient_descent import attacked_auroc
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.networks.lipschitz import network_bound
from ocsdf.recipes.image_negatives import shuffled_images
from ocsdf.recipes.images import cone_part
from ocsdf.sklearn_compat import image_fitting

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FAST = {"hidden_layer_sizes": (16, 16), "max_steps": 20, "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    bunch = load_digits()
    return bunch.images / 16.0, bunch.target


@pytest.fixture(scope="module")
def detector(digits):
    images, target = digits
    return ImageOCSDF(**FAST).fit(images[target == 0])


def test_tells_a_digit_from_the_others(detector, digits):
    images, target = digits
    auroc = detector.certified_auroc(images, (target != 0).astype(int), [0.0, 72 / 255])
    assert auroc[0] > 0.99
    assert auroc[1] > 0.97
    assert 0.0 < detector.lipschitz_bound_ <= 1.0


def test_no_certificate_is_crossed(detector, digits):
    images, target = digits
    rows = np.concatenate([np.flatnonzero(target == k)[:15] for k in (0, 3, 6)])
    X, y = images[rows].reshape(len(rows), -1), (target[rows] != 0).astype(int)
    radii = [0.1, 0.5]
    attacked = attacked_auroc(detector, X, y, radii, n_restarts=2, n_steps=20)
    assert np.all(attacked >= detector.certified_auroc(X, y, radii))


def test_all_ways_to_give_images_score_alike(detector, digits):
    images, target = digits
    scores = detector.score_samples(images[:20])
    np.testing.assert_array_equal(scores, detector.score_samples(images[:20, :, :, None]))
    flat = images.reshape(len(images), -1)
    np.testing.assert_array_equal(scores, detector.score_samples(flat[:20]))
    again = ImageOCSDF(image_shape=(8, 8, 1), **FAST).fit(flat[target == 0])
    np.testing.assert_array_equal(scores, again.score_samples(flat[:20]))


def test_brightness_hardly_counts_and_a_blank_image_is_outside(detector, digits):
    images, target = digits
    image = images[target == 0][:1]
    cones = CertifiedNetwork.from_keras(detector.model_.layers[-1].members[1])
    darker, brighter = (cones.score((level + 0.5 * image).reshape(1, -1)) for level in (0.0, 0.5))
    np.testing.assert_allclose(darker, brighter, atol=1e-6)
    assert np.all(detector.predict(np.stack([np.zeros((8, 8)), np.full((8, 8), 0.5)])) == -1)


def test_colour_images():
    random_state = np.random.default_rng(0)
    ramps = np.linspace(0.0, 1.0, 6)[None, :, None, None]
    images = np.clip(
        ramps * np.ones((60, 6, 6, 3)) + 0.1 * random_state.normal(size=(60, 6, 6, 3)), 0.0, 1.0
    )
    detector = ImageOCSDF(**FAST).fit(images)
    assert detector.image_shape_ == (6, 6, 3)
    sideways = images.transpose(0, 2, 1, 3)
    assert detector.score_samples(images).min() > detector.score_samples(sideways).max()


def test_saves_and_loads(detector, digits, tmp_path):
    detector.save(tmp_path / "zeros.ocsdf")
    loaded = ImageOCSDF.load(tmp_path / "zeros.ocsdf")
    assert loaded.image_shape_ == (8, 8, 1)
    images = digits[0][:30]
    np.testing.assert_array_equal(detector.score_samples(images), loaded.score_samples(images))
    assert loaded.get_params() == detector.get_params()


def test_explains_in_pixel_units(detector, digits):
    found = detector.explain(digits[0][1:3])
    assert np.all(found.converged)
    assert np.all(found.radius <= found.distance)
    moved = np.linalg.norm(found.boundary - digits[0][1:3].reshape(2, -1), axis=1)
    np.testing.assert_allclose(moved, found.distance, rtol=1e-6)


def test_same_seed_same_scores(detector, digits):
    images, target = digits
    again = clone(detector).fit(images[target == 0])
    np.testing.assert_array_equal(again.score_samples(images), detector.score_samples(images))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.random.default_rng(0).integers(0, 256, (9, 4, 4, 1)), "divide by 255"),
        (np.full((9, 4, 4), 0.5), "constant"),
        (np.random.default_rng(0).random((9, 16)), r"give image_shape=\(height"),
        (np.random.default_rng(0).random((2, 3, 4, 4, 1)), "got an array of shape"),
        (np.full((9, 4, 4), np.nan), "NaN"),
        (np.zeros((1, 4, 4)), "minimum of 2"),
    ],
)
def test_refuses_images(X, message):
    with pytest.raises(ValueError, match=message):
        ImageOCSDF(**FAST).fit(X)


def test_refuses_another_size(detector):
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 1\); got \(9, 9, 1\)"):
        detector.score_samples(np.zeros((2, 9, 9)))
    with pytest.raises(ValueError, match="has 64 pixels"):
        detector.score_samples(np.zeros((2, 65)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_shape": (8, 8)}, "height, width, channels"),
        ({"margin": 0.0}, "margin must be a finite number > 0"),
        ({"max_steps": 0}, "max_steps must be an integer >= 1"),
        ({"hidden_layer_sizes": (3,)}, "even numbers"),
        ({"contamination": 0.7}, "contamination"),
        ({"verbose": 3}, "verbose"),
        ({"random_state": "seed"}, "random_state"),
    ],
)
def test_refuses_parameters(change, message, digits):
    with pytest.raises(ValueError, match=message):
        ImageOCSDF(**change).fit(digits[0][:10])


@pytest.mark.parametrize("shape", [(7, 7, 1), (5, 8, 3)])
def test_shuffled_images_are_images_and_not_the_same(shape):
    images = np.random.default_rng(0).random((30, *shape)).astype(np.float32)
    shuffled = shuffled_images(images, 200, np.random.default_rng(1))
    assert shuffled.shape == (200, *shape)
    assert shuffled.min() >= 0.0
    assert shuffled.max() <= 1.0
    again = shuffled_images(images, 200, np.random.default_rng(1))
    np.testing.assert_array_equal(shuffled, again)
    same = (shuffled[:, None] == images[None]).all(axis=(2, 3, 4)).any(axis=1)
    assert same.mean() < 0.05


@pytest.mark.parametrize("n_channels", [1, 3])
def test_cones_hold_about_half_of_what_they_were_made_from(n_channels):
    random_state = np.random.default_rng(2)
    rows = np.clip(0.5 + 0.2 * random_state.normal(size=(300, 12 * n_channels)), 0.0, 1.0)
    model = cone_part(rows, n_channels, random_state)
    assert network_bound(model) <= 1.0
    scores = CertifiedNetwork.from_keras(model).score(rows)
    # An image is in the middle of its own ray's cone.
    assert (0.4 if n_channels == 1 else 0.9) <= np.mean(scores > 0.0)


QUICK = {"hidden_layer_sizes": (16,), "max_steps": 2, "random_state": 0}
RNG = np.random.default_rng(0)


def flat_images(n_images, shape=(8, 8)):
    return np.broadcast_to(RNG.random((n_images, *[1] * len(shape))), (n_images, *shape)).copy()


def some_seen(n_seen):
    images = flat_images(40)
    images[:n_seen] = RNG.random((n_seen, 8, 8))
    return images


NOTHING_SEEN = {
    "one brightness each": flat_images(40),
    "in colour": flat_images(40, (8, 8, 3)),
    "within half a grey level": flat_images(40) * 0.9 + 1e-5 * RNG.random((40, 8, 8)),
    "one pixel": RNG.random((20, 1, 1)),
    "no more than are held out": some_seen(4),
}


@pytest.mark.parametrize("images", NOTHING_SEEN.values(), ids=NOTHING_SEEN)
def test_P8_flat_images_are_refused_before_training(monkeypatch, images):
    monkeypatch.setattr(image_fitting, "Trainer", None)
    with pytest.raises(ValueError, match=r"images are of one brightness.* Give more than \d"):
        ImageOCSDF(**QUICK).fit(images)


@pytest.mark.parametrize("images", [some_seen(5), RNG.random((2, 8, 8)), RNG.random((20, 1, 2))])
def test_P8_few_images_are_enough(images):
    assert np.isfinite(ImageOCSDF(**QUICK).fit(images).score_samples(images)).all()


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 9), (4, 5, 5), (3, 32, 48)])
def test_P8_channels_that_come_first_are_refused(shape):
    images = RNG.random((20, *shape))
    with pytest.raises(ValueError, match=r"channels came first.*np.moveaxis\(X, 1, -1\)"):
        ImageOCSDF(**QUICK).fit(images)
    detector = ImageOCSDF(**QUICK).fit(np.moveaxis(images, 1, -1))
    with pytest.raises(ValueError, match="Expected images of shape"):
        detector.score_samples(images)


@pytest.mark.parametrize("shape", [(3, 16, 3), (2, 16, 1), (8, 8, 5)])
def test_P8_low_images_and_many_channels_are_taken(shape):
    assert ImageOCSDF(**QUICK).fit(RNG.random((20, *shape))).image_shape_ == shape


def test_P8_an_image_shape_that_is_given_is_obeyed():
    images = RNG.random((20, 3, 8, 8))
    assert ImageOCSDF((3, 8, 8), **QUICK).fit(images).image_shape_ == (3, 8, 8)


@pytest.mark.parametrize("shape", [(16, 16, 3), (12, 20, 1), (24, 24, 1), (12, 12, 4)])
def test_P8_shuffling_holds_little_beside_its_result(shape):
    images = RNG.random((40, *shape)).astype(np.float32)
    tracemalloc.start()
    made = shuffled_images(images, 6_000, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The result, the images to mix in, and what the mixing of a sixth of them takes.
    assert peak < 3.3 * made.nbytes


@pytest.mark.parametrize(
    ("shape", "n_made"), [((8, 8, 3), 100), ((4, 4, 1), 1000), ((9, 9, 4), 59)]
)
def test_P8_large_images_have_fewer_shuffled_ones(monkeypatch, shape, n_made):
    asked = []

    def shuffled(images, n_samples, random_state):
        asked.append(n_samples)
        return shuffled_images(images, n_samples, random_state)

    monkeypatch.setattr(image_fitting, "shuffled_images", shuffled)
    monkeypatch.setattr(image_fitting, "_N_SHUFFLED", 1000)
    monkeypatch.setattr(image_fitting, "_MOST_NUMBERS", 19_200)
    ImageOCSDF(**QUICK).fit(RNG.random((20, *shape)))
    assert asked == [n_made]
