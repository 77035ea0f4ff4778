"""The networks of CNLS's Table A1: how many parameters, which shapes, which seeds."""

import keras
import numpy as np
import pytest

from ocsdf.levelsets import conv_net_2a, conv_net_2b, conv_net_4a, conv_net_4b, fc_1, fc_2

CONVOLUTIONAL = [conv_net_2a, conv_net_2b, conv_net_4a, conv_net_4b]


def dense(n_in, n_out):
    return n_in * n_out + n_out


def convolution(n_in, n_out, size):
    return size**2 * n_in * n_out + n_out


@pytest.mark.parametrize(
    ("build", "n_parameters"),
    [
        # 28 -> 13 -> 5 without padding.
        (
            conv_net_2a,
            convolution(1, 16, 4) + convolution(16, 32, 4) + dense(800, 100) + dense(100, 10),
        ),
        # 28 -> 24 -> 12 -> 8 -> 4.
        (
            conv_net_2b,
            convolution(1, 32, 5) + convolution(32, 64, 5) + dense(1024, 512) + dense(512, 10),
        ),
        (conv_net_4a, 312_202),
        (conv_net_4b, 2_466_858),
        (fc_1, dense(2, 512) + 2 * dense(512, 512) + dense(512, 1)),
        (fc_2, dense(3, 509) + 6 * dense(512, 509) + dense(509, 1)),
    ],
)
def test_parameter_counts(build, n_parameters):
    assert build().count_params() == n_parameters


@pytest.mark.parametrize("build", CONVOLUTIONAL)
def test_half_width_halves_every_layer_but_the_last(build):
    full, half = build(n_outputs=3), build(n_outputs=3, width=0.5)
    assert half.output_shape == full.output_shape == (None, 3)
    kernels = [[w.shape[-1] for w in model.weights if len(w.shape) > 1] for model in (full, half)]
    assert [n // 2 for n in kernels[0][:-1]] == kernels[1][:-1]


@pytest.mark.parametrize("build", [*CONVOLUTIONAL, fc_1, fc_2])
def test_seeds_alone_choose_the_weights(build):
    keras.utils.set_random_seed(0)
    first = build(seed=3).get_weights()
    keras.utils.set_random_seed(1)
    again, other = build(seed=3).get_weights(), build(seed=4).get_weights()
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    # No two layers of a network share a draw.
    assert len({round(float(w.flat[0] / abs(w).max()), 6) for w in first}) == len(first)


def test_initial_kernels_are_hes():
    model = conv_net_4a(seed=0)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            fan_in = np.prod(kernel.shape[:-1])
            assert abs(kernel).max() <= np.sqrt(6.0 / fan_in)
            assert np.std(kernel) == pytest.approx(np.sqrt(2.0 / fan_in), rel=0.1)
            assert 0.0 < abs(bias).max() <= 1.0 / np.sqrt(fan_in)


def test_fc_2_sees_the_input_at_every_layer_in_the_middle():
    """With what comes from the layer before cut off, the skip alone still reaches the output."""
    model = fc_2(input_dim=3, output_dim=2, width=16, seed=0)
    layers = [layer for layer in model.layers if layer.weights]
    assert [layer.units for layer in layers] == [13] * 7 + [2]
    points = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for cut in layers[1:7]:
        weights = cut.get_weights()
        kernel = weights[0].copy()
        kernel[:13] = 0.0
        cut.set_weights([kernel, weights[1]])
        assert np.std(model(points), axis=0).min() > 0.0
        kernel[13:] = 0.0
        cut.set_weights([kernel, weights[1]])
        if cut is layers[6]:
            assert np.std(model(points), axis=0).max() < 1e-6
        cut.set_weights(weights)


def test_widths_that_do_not_do():
    with pytest.raises(ValueError, match="width must be above input_dim, .* got 3 and 3"):
        fc_2(width=3)
    with pytest.raises(ValueError, match="0.01 times 32 has none"):
        conv_net_4a(width=0.01)
