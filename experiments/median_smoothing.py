"""Median randomized smoothing: bounds for any score, with a probability (Chiang et al., 2020).

The smoothed score of a row is the median of its scores under Gaussian noise,

    h(x) = median f(x + u),   u ~ N(0, sigma^2 I)

and for every change delta with ||delta||_2 <= eps, with q_p the p-quantile of f(x + u) and Phi the
normal distribution's,

    q_{Phi(-eps / sigma)}(x) <= h(x + delta) <= q_{Phi(eps / sigma)}(x)

(Chiang et al., *Detection as Regression: Certified Object Detection by Median Smoothing*, NeurIPS
2020, Lemma 1). Quantiles are bounded from n draws by their order statistics.
"""

import numpy as np
from scipy.stats import binom, norm

from ocsdf.networks.gradients import unit
from ocsdf.utils.threads import slices

# Noisy rows scored at a time.
_AT_ONCE = 100_000


class MedianSmoothed:
    """A score smoothed by the median over Gaussian noise, drawn once and used for every row."""

    def __init__(self, score, lowest, highest, n_features, sigma, n_draws, random_state):
        self._score, self._lowest, self._highest = score, lowest, highest
        self._sigma = sigma
        self._noise = sigma * random_state.standard_normal((n_draws, n_features))

    def score(self, points):
        """Estimate h."""
        return np.median(self._draws(points, self._noise), axis=1)

    def bounds(self, points, radii, failure):
        """Bound h over balls around rows."""
        draws = np.sort(self._draws(points, self._noise), axis=1)
        n_draws = draws.shape[1]
        each = failure / (len(points) * len(radii))
        padded = np.pad(draws, ((0, 0), (1, 1)))
        padded[:, 0], padded[:, -1] = self._lowest, self._highest
        # The largest k with P(Bin(n, p) < k) <= failure; k = 0 stands for the lowest score.
        rank = binom.ppf(each, n_draws, norm.cdf(-np.asarray(radii) / self._sigma)).astype(int)
        return padded[:, rank].T, padded[:, n_draws + 1 - rank].T

    def attack(self, points, direction, radius, n_steps, n_probes, random_state):
        """Move h by gradient steps in l2 balls, the gradient estimated from noisy scores."""
        moved = points.copy()
        for _ in range(n_steps):
            noise = self._sigma * random_state.standard_normal((n_probes, points.shape[1]))
            draws = self._draws(moved, noise)
            # Stein's identity: the gradient of the mean over noise is E[f(x + u) u] / sigma^2.
            slope = (draws - draws.mean(axis=1, keepdims=True)) @ noise
            moved += (2.0 * radius / n_steps) * direction[:, np.newaxis] * unit(slope)
            offset = moved - points
            length = np.linalg.norm(offset, axis=1, keepdims=True)
            moved = points + offset * np.minimum(1.0, radius / np.maximum(length, radius))
        return moved

    def _draws(self, points, noise):
        draws = np.empty((len(points), len(noise)))
        for rows in slices(len(points), max(1, _AT_ONCE // len(noise))):
            noisy = points[rows, np.newaxis] + noise
            draws[rows] = self._score(noisy.reshape(-1, points.shape[1])).reshape(noisy.shape[:2])
        return draws
