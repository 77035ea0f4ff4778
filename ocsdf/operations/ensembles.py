"""Several networks of the same rows as one: their weighted mean, their scaled minimum."""

import math

import numpy as np

from ocsdf.operations.base import Operation, operation, smallest_normal
from ocsdf.operations.chain import Chain, product
from ocsdf.operations.fields import as_array, freeze
from ocsdf.operations.keras_layers import own_layer
from ocsdf.operations.matrix_bounds import summation_error
from ocsdf.operations.scratch import Scratch


class _Ensemble(Operation):
    """An operation of chains from the same rows to one output each."""

    def _check_members(self):
        members = tuple(self.members)
        if not all(isinstance(m, Chain) and m.output_shape() == (1,) for m in members):
            raise ValueError("members must be chains with one output each.")
        if len({member.input_shape for member in members}) > 1:
            raise ValueError("members must be of the same rows.")
        freeze(self, members=members)

    def output_shape(self, shape):
        if self.members[0].input_shape != shape:
            raise ValueError(
                f"members take points of shape {self.members[0].input_shape}, not {shape}."
            )
        return (1,)

    def width(self, shape):
        return max(member.width() for member in self.members)

    def _outputs(self, values, scratch):
        scratch = scratch or Scratch()
        for number, member in enumerate(self.members):
            yield member.evaluate(values, scratch.of_member(number))

    def _keras_layer(self, name, factors, shape):
        members = [member.to_keras() for member in self.members]
        layer = own_layer(f"ensembles.{name}", members, factors)
        layer.build((None, *shape))
        return layer

    def _propagated(self, norm, error, roundoff):
        return [member.pass_on(norm, error, roundoff) for member in self.members]


@operation("weighted_mean")
class WeightedMean(_Ensemble):
    r"""Weighted mean of networks of the same rows, each with one output.

    .. math:: f(x) = b + \sum_i w_i f_i(x), \qquad
        \mathrm{Lip}(f) \le \sum_i w_i \, \mathrm{Lip}(f_i)

    where the shares :math:`w_i > 0` are read as numbers that sum to 1 exactly.
    """

    members: tuple
    shares: tuple
    bias: np.ndarray

    def __post_init__(self):
        self._check_members()
        shares, bias = check_shares(self.shares, self.members), as_array(self.bias, 1, "bias")
        if bias.shape != (1,):
            raise ValueError(f"bias must be one number; got shape {bias.shape}.")
        freeze(self, shares=shares, bias=bias)

    def shifted(self, constant):
        """Return the map plus a constant, as float32 layers hold it."""
        bias = np.float32(self.bias) + np.float32(constant)
        return WeightedMean(self.members, self.shares, bias)

    def evaluate(self, values, scratch=None):
        outputs = self._outputs(values, scratch)
        return sum(w * out for w, out in zip(self.shares, outputs, strict=True)) + self.bias

    def linearize(self, values):
        pairs = [member.linearize(values) for member in self.members]

        def pull_back(upstream):
            parts = zip(self.shares, pairs, strict=True)
            return sum(pull(share * upstream) for share, (_, pull) in parts)

        found = sum(w * out for w, (out, _) in zip(self.shares, pairs, strict=True))
        return found + self.bias, pull_back

    def _bound(self, shape):
        """Mean of the bounds, rounded up, whose shares sum to 1: never above the largest."""
        bounds = [member.bound() for member in self.members]
        total = 0.0
        for share, bound in zip(self.shares, bounds, strict=True):
            total = np.nextafter(total + np.nextafter(share * bound, np.inf), np.inf)
        return float(min(total, max(bounds)))

    def pass_on(self, norm, error, roundoff, shape):
        results = self._propagated(norm, error, roundoff)
        norm, error = sum(
            share * np.array(result) for share, result in zip(self.shares, results, strict=True)
        )
        bias = np.array([abs(self.bias[0]), 0.0])
        # Roundings of the shares, of the products and of their sum with the constant.
        n_terms = len(self.members) + 2
        gamma = summation_error(n_terms, roundoff)
        underflow = [2.0 * n_terms * smallest_normal(roundoff), 0.0]
        return norm + bias, error + gamma * (norm + error + bias) + underflow

    def to_onnx(self, graph, values, shape):
        total = graph.constant(self.bias)
        for share, member in zip(self.shares, self.members, strict=True):
            part = graph.add("Mul", graph.constant(share), member.to_onnx(graph, values))
            total = graph.add("Add", part, total)
        return total

    def to_keras(self, shape):
        layer = self._keras_layer("WeightedMean", self.shares, shape)
        layer.bias.assign(self.bias)
        return layer


@operation("scaled_minimum")
class ScaledMinimum(_Ensemble):
    r"""Least of networks of the same rows, each counted from a level of its own and scaled.

    .. math:: f(x) = \min_i s_i (f_i(x) - c_i), \qquad
        \mathrm{Lip}(f) \le \max_i s_i \, \mathrm{Lip}(f_i)

    with scales :math:`s_i > 0` and levels :math:`c_i`. A row that is abnormal to one member is
    abnormal.
    """

    members: tuple
    scales: tuple
    levels: np.ndarray

    def __post_init__(self):
        self._check_members()
        scales = check_scales(self.scales, self.members)
        levels = as_array(self.levels, 1, "levels")
        if levels.shape != (len(scales),):
            raise ValueError(f"levels must be {len(scales)} numbers; got shape {levels.shape}.")
        freeze(self, scales=scales, levels=levels)

    def evaluate(self, values, scratch=None):
        parts = zip(self.scales, self._outputs(values, scratch), self.levels, strict=True)
        return np.minimum.reduce([scale * (out - level) for scale, out, level in parts])

    def linearize(self, values):
        pairs = [member.linearize(values) for member in self.members]
        parts = zip(self.scales, pairs, self.levels, strict=True)
        outputs = np.stack([scale * (out - level) for scale, (out, _), level in parts])
        least = outputs.argmin(axis=0)

        def pull_back(upstream):
            return sum(
                pull(np.where(least == i, scale * upstream, 0.0))
                for i, (scale, (_, pull)) in enumerate(zip(self.scales, pairs, strict=True))
            )

        return outputs.min(axis=0), pull_back

    def _bound(self, shape):
        """Largest of the scaled bounds, rounded up: f changes as the most changed of them."""
        pairs = zip(self.scales, self.members, strict=True)
        return max(product([scale, member.bound()]) for scale, member in pairs)

    def pass_on(self, norm, error, roundoff, shape):
        # Roundings of a scale, of a difference and of their product.
        gamma = summation_error(3, roundoff)
        results = self._propagated(norm, error, roundoff)
        norms, errors = [], []
        for (reach, strayed), scale, level in zip(results, self.scales, self.levels, strict=True):
            reach = reach + [abs(level), 0.0]
            norms.append(scale * reach)
            errors.append(scale * (strayed + gamma * (reach + strayed)))
        underflow = [(2.0 + 2.0 * max(self.scales)) * smallest_normal(roundoff), 0.0]
        # Constants and slopes alike: the largest sum is no larger than the sum of the largest.
        return np.max(norms, axis=0), np.max(errors, axis=0) + underflow

    def to_onnx(self, graph, values, shape):
        parts = []
        for scale, member, level in zip(self.scales, self.members, self.levels, strict=True):
            above = graph.add("Sub", member.to_onnx(graph, values), graph.constant(level))
            parts.append(graph.add("Mul", graph.constant(scale), above))
        return graph.add("Min", *parts)

    def to_keras(self, shape):
        layer = self._keras_layer("ScaledMinimum", self.scales, shape)
        layer.levels.assign(self.levels)
        return layer


def check_shares(weights, members):
    """Return weights as floats that are positive, one a member, and sum to 1."""
    shares = tuple(float(weight) for weight in weights)
    if len(shares) != len(members) or min(shares, default=0.0) <= 0.0:
        raise ValueError(
            f"weights must be positive, one for each of {len(members)} members; "
            f"got {list(weights)}."
        )
    # The exact sum, rounded once: whether weights are taken does not hang on their order.
    if (total := math.fsum(shares)) != 1.0:
        raise ValueError(f"weights must sum to 1; got {total!r}.")
    return shares


def check_scales(scales, members):
    """Return scales as floats that are finite and positive, one a member."""
    checked = tuple(float(scale) for scale in scales)
    if not checked or len(checked) != len(members) or not all(0 < s < math.inf for s in checked):
        raise ValueError(
            f"scales must be finite and positive, one for each of {len(members)} members; "
            f"got {list(scales)}."
        )
    return checked
