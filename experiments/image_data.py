"""MNIST, Fashion-MNIST and CIFAR-10, as numbers in [0, 1]."""

import io
from functools import lru_cache
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image

from ocsdf.data.downloads import data_home

IMAGE_SETS = ("mnist", "fashion_mnist", "cifar10")
# A smaller, slightly lossy copy of CIFAR-10 that is read where it is there.
_JPEG = "cifar10_jpeg.npz"


class Images(NamedTuple):
    """Images of shape (n, height, width, channels), float32 in [0, 1], and classes (n,), int64."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, rows):
        """Return some of them."""
        return Images(self.images[rows], self.labels[rows])


@lru_cache(maxsize=1)
def load_images(name):
    """Load a set: from ``images/<name>.npz`` in the data home, else by Keras's download.

    CIFAR-10 may also lie in ``images/cifar10_jpeg.npz``, which is read where the other is missing.
    """
    if name not in IMAGE_SETS:
        raise ValueError(f"name must be one of {list(IMAGE_SETS)}; got {name!r}.")
    home = data_home()
    path = home / "images" / f"{name}.npz" if home else None
    if path is not None and path.exists():
        with np.load(path) as arrays:
            parts = [(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")]
    elif name == "cifar10" and path is not None and path.with_name(_JPEG).exists():
        parts = _decoded(path.with_name(_JPEG))
    else:
        parts = _download(name)
    train, test = (Images(_scaled(x), np.ravel(y).astype(np.int64)) for x, y in parts)
    return train, test


def _decoded(path):
    """Read JPEG files that stand one behind the other."""
    with np.load(path) as pack:
        blob, ends, labels = pack["jpeg"].tobytes(), pack["offset"], pack["label"]
        is_train = pack["is_train"]
    images = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(blob[start:end])).convert("RGB"))
            for start, end in zip(ends[:-1], ends[1:], strict=True)
        ]
    )
    return [(images[part], labels[part]) for part in (is_train, ~is_train)]


def _download(name):
    try:
        return getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a bare Exception
        raise FileNotFoundError(
            f"{name} could not be downloaded: put images/{name}.npz (x_train, y_train, x_test, "
            f"y_test) into $OCSDF_DATA_HOME ({error})"
        ) from error


def _scaled(images):
    images = images if images.ndim == 4 else images[..., np.newaxis]
    return images.astype(np.float32) / np.float32(255.0)
