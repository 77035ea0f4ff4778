"""P8: what images take, and which are refused before any training."""

import tracemalloc

import numpy as np
import pytest

from ocsdf import ImageOCSDF
from ocsdf.recipes.image_negatives import shuffled_images
from ocsdf.sklearn_compat import image_fitting

QUICK = {"hidden_layer_sizes": (16,), "max_steps": 2, "random_state": 0}
RNG = np.random.default_rng(0)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
