"""Updates by NumPy: RMSprop against its formula, kernels shared by threads against whole ones."""

import numpy as np
import pytest

from ocsdf.training.numpy_updates import orthogonalize_in_place, update
from ocsdf.utils.threads import crew


@pytest.mark.parametrize("shape", [(6, 1), (40, 40), (70, 33), (33, 70)])
@pytest.mark.parametrize("noise", [1e-3, 0.05, 0.5])
def test_a_kernel_that_threads_share(shape, noise):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))[0]
    kernel = rotation if shape[0] >= shape[1] else rotation.T
    kernel = np.float32(kernel + noise * rng.normal(size=shape) / np.sqrt(max(shape)))
    alone, shared = kernel.copy(), kernel.copy()
    orthogonalize_in_place(alone)
    with crew(2) as run:
        orthogonalize_in_place(shared, run)
    np.testing.assert_allclose(shared, alone, atol=2e-6)
    singular_values = np.linalg.svd(np.float64(shared), compute_uv=False)
    np.testing.assert_allclose(singular_values, 1.0, atol=2e-2)


@pytest.mark.parametrize("wide", [0, 2**16])
def test_parts_of_a_gradient_are_summed(monkeypatch, wide):
    monkeypatch.setattr("ocsdf.training.numpy_updates.WIDE", wide)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=size).astype(np.float32) for size in (150, 3, 70)]
    velocities = [np.square(weight) for weight in weights]
    parts = [tuple(rng.normal(size=(3, len(w))).astype(np.float32)) for w in weights]
    expected = []
    for weight, velocity, (one, two, three) in zip(weights, velocities, parts, strict=True):
        gradient = one + two + three
        velocity = np.float32(0.9) * velocity + np.float32(1.0 - 0.9) * gradient**2
        expected += [velocity, weight - np.float32(1e-2) * gradient / np.sqrt(velocity + 1e-7)]
    with crew(2) as run:
        update(run, weights, velocities, parts, 1e-2, 0.9, 1e-7)
    for index, (weight, velocity) in enumerate(zip(weights, velocities, strict=True)):
        np.testing.assert_array_equal(velocity, expected[2 * index])
        np.testing.assert_array_equal(weight, expected[2 * index + 1])
