"""Certificates: oracles over all pairs, closed forms, and attacks that attain the bound."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from sklearn.metrics import roc_auc_score, roc_curve

from ocsdf.certificate.metrics import (
    certified_auroc,
    certified_radius,
    certified_recall,
    certified_tpr,
)

N_ATTACKED = {"both": 2, "anomalies": 1, "normals": 1}
ATTACKED = sorted(N_ATTACKED)

finite = st.floats(-1e6, 1e6)
score_lists = st.lists(st.one_of(finite, st.integers(-3, 3).map(float)), min_size=1, max_size=12)
radius_lists = st.lists(st.one_of(st.just(0.0), st.floats(0.0, 1e3)), min_size=2, max_size=6)


def exact_shift(eps, lipschitz, attacked, slack):
    reach = Fraction(lipschitz) * Fraction(eps) + Fraction(slack)
    return N_ATTACKED[attacked] * reach if eps > 0 else Fraction(0)


def rounded_down(exact):
    """The largest float that is not above a fraction."""
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else float(np.nextafter(nearest, -np.inf))


def oracle_auroc(normals, anomalies, eps, lipschitz=1.0, attacked="both", slack=0.0):
    """All pairs, in exact rational arithmetic."""
    shift = exact_shift(eps, lipschitz, attacked, slack)
    gaps = [Fraction(float(a)) - Fraction(float(b)) - shift for a in normals for b in anomalies]
    return rounded_down(sum(Fraction(1 + (g > 0) - (g < 0), 2) for g in gaps) / len(gaps))


def oracle_tpr(normals, anomalies, eps, fpr, attacked="both"):
    """Try every attacked normal score as the threshold, in exact rational arithmetic."""
    reach = Fraction(eps)
    lowered = [Fraction(float(a)) - reach * (attacked != "anomalies") for a in normals]
    raised = [Fraction(float(b)) + reach * (attacked != "normals") for b in anomalies]
    allowed = [t for t in lowered if sum(u < t for u in lowered) / len(lowered) <= fpr]
    return rounded_down(Fraction(max(sum(v < t for v in raised) for t in allowed), len(raised)))


def tied_scores(seed, step=0.25):
    """Scores on a coarse binary grid: many ties, and sums without rounding."""
    rng = np.random.default_rng(seed)
    normals = step * rng.integers(-4, 12, size=37)
    return normals, step * rng.integers(-10, 6, size=23)


def labels(normals, anomalies):
    return np.r_[np.ones(len(normals)), np.zeros(len(anomalies))]


class TestRadius:
    def test_formula(self):
        radii = certified_radius([3.0, -1.0, 1.5, 1.25], offset=1.0, lipschitz=0.5, slack=0.25)
        np.testing.assert_allclose(radii, [3.5, 3.5, 0.5, 0.0], rtol=1e-14)
        assert radii.dtype == np.float64

    def test_slack_per_sample(self):
        radii = certified_radius([2.0, -2.0], slack=[0.5, 3.0])
        np.testing.assert_allclose(radii, [1.5, 0.0], rtol=1e-14)

    @given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.1, 10.0), st.floats(0.0, 1.0))
    @example(score=0.0, offset=2.2250738585e-313, lipschitz=0.1015625, slack=0.0)
    def test_is_never_above_the_exact_radius(self, score, offset, lipschitz, slack):
        (radius,) = certified_radius([score], offset, lipschitz, slack)
        gap = abs(Fraction(score) - Fraction(offset)) - Fraction(slack)
        assert Fraction(float(radius)) <= max(gap, 0) / Fraction(lipschitz)

    def test_what_overflows_is_the_largest_number(self):
        with np.errstate(over="raise"):
            radii = certified_radius([1e308, 1.0], offset=-1e308, lipschitz=0.5)
        np.testing.assert_array_equal(radii, np.full(2, np.finfo(np.float64).max))

    @given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.floats(-5, 5))
    def test_a_smaller_move_keeps_the_verdict(self, scores, offset):
        radii = certified_radius(scores, offset, lipschitz=2.0, slack=1e-9)
        for move in (0.999 * 2.0 * radii, -0.999 * 2.0 * radii):
            kept = (scores + move >= offset) == (np.asarray(scores) >= offset)
            assert kept[radii > 0].all()


class TestAuroc:
    @pytest.mark.parametrize("attacked", ATTACKED)
    @pytest.mark.parametrize("seed", range(3))
    def test_equals_the_count_over_all_pairs(self, attacked, seed):
        normals, anomalies = tied_scores(seed)
        radii = np.arange(9) / 8
        slack = np.arange(9) / 64
        found = certified_auroc(normals, anomalies, radii, 0.5, attacked, slack)
        expected = [
            oracle_auroc(normals, anomalies, eps, 0.5, attacked, extra)
            for eps, extra in zip(radii, slack, strict=True)
        ]
        np.testing.assert_array_equal(found, expected)

    @given(score_lists, score_lists, radius_lists, st.floats(1e-3, 1e3), st.sampled_from(ATTACKED))
    def test_never_above_the_exact_value(self, normals, anomalies, radii, lipschitz, attacked):
        found = certified_auroc(normals, anomalies, radii, lipschitz, attacked)
        for value, eps in zip(found, radii, strict=True):
            assert value <= oracle_auroc(normals, anomalies, eps, lipschitz, attacked)

    def test_rounding_is_resolved_exactly(self):
        # 0.3 - 0.1 rounds to a float that is not 0.2 and 1 - 1e-20 rounds to 1.
        normals, anomalies = [0.3, 1.0], [0.3 - 0.1, 0.2, 1.0]
        for eps in (0.1, 1e-20):
            found = certified_auroc(normals, anomalies, eps, attacked="anomalies")
            assert found == oracle_auroc(normals, anomalies, eps, attacked="anomalies")
        assert certified_auroc([1.0], [1.0], 1e-20) == 0.0

    def test_scores_at_the_rounded_difference_are_told_apart(self):
        rng = np.random.default_rng(4)
        normals, radii = rng.normal(size=100), rng.uniform(size=100)
        values = []
        for score, eps in zip(normals, radii, strict=True):
            found = certified_auroc([score], [score - eps], eps, attacked="normals")[0]
            assert found == oracle_auroc([score], [score - eps], eps, attacked="normals")
            values.append(found)
        assert set(values) == {0.0, 0.5, 1.0}

    def test_a_shift_that_is_no_float_is_rounded_up(self):
        # 3 * eps lies between two floats and is nearest to the lower one, where the score sits:
        # the true shift goes past it, so not even a tie is left.
        eps = 1 + 3 * 2.0**-52
        score = 3.0 * eps
        assert Fraction(score) < 3 * Fraction(eps)
        assert certified_auroc([score], [0.0], eps, lipschitz=3.0, attacked="normals") == 0.0

    @pytest.mark.parametrize("attacked", ATTACKED)
    def test_without_attack_it_is_the_auroc(self, attacked):
        for seed in range(5):
            normals, anomalies = tied_scores(seed, step=0.1)
            expected = roc_auc_score(labels(normals, anomalies), np.r_[normals, anomalies])
            found = certified_auroc(normals, anomalies, 0.0, attacked=attacked, slack=0.7)
            assert found.shape == (1,)
            assert found[0] == pytest.approx(expected, abs=1e-12)

    @given(score_lists, score_lists, radius_lists, st.floats(0, 1), st.sampled_from(ATTACKED))
    def test_never_grows_with_the_radius(self, normals, anomalies, radii, slack, attacked):
        values = certified_auroc(normals, anomalies, sorted(radii), 1.7, attacked, slack)
        assert (np.diff(values) <= 0).all()
        assert (values >= 0).all()
        assert (values <= 1).all()

    def test_two_gaussians(self):
        quantiles = ndtri((np.arange(4000) + 0.5) / 4000)
        radii = np.array([0.0, 0.1, 0.3])
        mean = np.sqrt(2) * ndtri(0.751)
        found = certified_auroc(mean + quantiles, quantiles, radii)
        np.testing.assert_allclose(found, ndtr((mean - 2 * radii) / np.sqrt(2)), atol=2e-4)
        np.testing.assert_allclose(found, [0.751, 0.704, 0.600], atol=7e-4)

    def test_one_side_attacked_at_twice_the_radius_is_both(self):
        normals, anomalies = np.random.default_rng(0).normal(size=(2, 200))
        radii = np.linspace(0, 1, 11)
        both = certified_auroc(normals + 1, anomalies, radii)
        for attacked in ("anomalies", "normals"):
            one = certified_auroc(normals + 1, anomalies, 2 * radii, attacked=attacked)
            np.testing.assert_array_equal(one, both)

    @pytest.mark.parametrize("eps", [0.25, 0.5, 1.0])
    def test_the_worst_attack_attains_the_bound(self, eps):
        normals, anomalies = tied_scores(3)
        y = labels(normals, anomalies)
        for attacked, low, high in [("both", eps, eps), ("normals", eps, 0), ("anomalies", 0, eps)]:
            expected = roc_auc_score(y, np.r_[normals - low, anomalies + high])
            found = certified_auroc(normals, anomalies, eps, attacked=attacked)
            assert found[0] == pytest.approx(expected, abs=1e-12)

    def test_no_smaller_attack_goes_below_the_bound(self):
        rng = np.random.default_rng(1)
        normals, anomalies = rng.normal(1, 1, 60), rng.normal(0, 1, 40)
        bound = certified_auroc(normals, anomalies, 0.2)[0]
        y = labels(normals, anomalies)
        for _ in range(20):
            moved = np.r_[normals, anomalies] + rng.uniform(-0.2, 0.2, 100)
            assert roc_auc_score(y, moved) >= bound

    def test_slack_counts_once_per_attacked_side(self):
        scores = [1.0], [0.0]
        for attacked, limit in (("both", 0.25), ("anomalies", 0.75), ("normals", 0.75)):
            slack = [limit - 2**-10, limit, limit + 2**-10]
            values = certified_auroc(*scores, [0.25] * 3, attacked=attacked, slack=slack)
            np.testing.assert_array_equal(values, [1.0, 0.5, 0.0])

    def test_huge_radii_certify_nothing_and_do_not_warn(self):
        values = certified_auroc([1e308, -1e308], [-1e308], [1e300, 1e308, 1.7e308], 5.0)
        np.testing.assert_array_equal(values, [0.5, 0.0, 0.0])

    def test_float32_scores_are_widened_first(self):
        scores = np.float32([0.1]), np.float32([0.0])
        eps = float(np.float32(0.1))
        assert certified_auroc(*scores, eps, attacked="normals") == 0.5


class TestTpr:
    @pytest.mark.parametrize("attacked", ATTACKED)
    @pytest.mark.parametrize("fpr", [0.0, 0.05, 0.29, 0.9])
    def test_equals_the_best_threshold_found_by_trial(self, attacked, fpr):
        for seed in range(3):
            normals, anomalies = tied_scores(seed)
            radii = np.arange(6) / 8
            found = certified_tpr(normals, anomalies, radii, fpr, attacked=attacked)
            expected = [oracle_tpr(normals, anomalies, eps, fpr, attacked) for eps in radii]
            np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize("fpr", [0.0, 0.05, 0.29, 0.5])
    @pytest.mark.parametrize("n_normals", [20, 37, 100])
    def test_is_read_off_the_roc_curve_of_the_attacked_scores(self, fpr, n_normals):
        rng = np.random.default_rng(n_normals)
        normals, anomalies = rng.normal(1, 1, n_normals), rng.normal(0, 1, 50)
        y = 1 - labels(normals, anomalies)
        for eps in (0.0, 0.25):
            flags = -np.r_[normals - eps, anomalies + eps]
            rates, tpr, _ = roc_curve(y, flags, drop_intermediate=False)
            best = Fraction(round(50 * tpr[rates <= fpr].max()), 50)
            assert certified_tpr(normals, anomalies, eps, fpr) == rounded_down(best)

    @given(score_lists, score_lists, radius_lists, st.floats(0, 0.99), st.sampled_from(ATTACKED))
    def test_never_grows_with_the_radius(self, normals, anomalies, radii, fpr, attacked):
        values = certified_tpr(normals, anomalies, sorted(radii), fpr, 1.7, attacked, slack=0.1)
        assert (np.diff(values) <= 0).all()

    def test_a_score_at_the_threshold_is_not_flagged(self):
        assert certified_tpr([1.0, 2.0], [1.0], 0.0, fpr=0.0) == 0.0
        assert certified_tpr([1.0, 2.0], [1.0], 0.0, fpr=0.5) == 1.0
        np.testing.assert_array_equal(certified_tpr([1.0], [0.0], [0.375, 0.5]), [1.0, 0.0])


class TestRecall:
    def test_counts_anomalies_that_stay_below(self):
        scores = [-2.0, -1.0, -0.5, 0.25]
        found = certified_recall(scores, [0.0, 0.5, 1.0, 2.0])
        np.testing.assert_array_equal(found, [0.75, 0.5, 0.25, 0.0])
        found = certified_recall(scores, [0.0, 0.25], threshold=0.5, lipschitz=2.0, slack=0.25)
        np.testing.assert_array_equal(found, [1.0, 0.75])

    @given(score_lists, radius_lists, st.floats(-3, 3), st.floats(1e-3, 10), st.floats(0, 1))
    def test_equals_the_exact_count(self, scores, radii, threshold, lipschitz, slack):
        found = certified_recall(scores, radii, threshold, lipschitz, slack)
        for value, eps in zip(found, radii, strict=True):
            shift = exact_shift(eps, lipschitz, "anomalies", slack)
            below = [Fraction(score) + shift < Fraction(threshold) for score in scores]
            clearly = [score + shift < threshold - 1e-9 for score in scores]
            assert Fraction(float(value)) <= Fraction(sum(below), len(scores))
            assert value >= rounded_down(Fraction(sum(clearly), len(scores)))

    @given(score_lists, radius_lists)
    def test_agrees_with_the_certified_radius(self, scores, radii):
        # At slack 0 and L = 1 both are exact: |f| against eps. A radius is rounded down, which
        # takes the least of all floats to 0.
        assume(all(abs(score) > 5e-324 for score in scores if score))
        eps = np.array(radii)
        certified = certified_radius(scores)
        kept = [(np.array(scores) < 0) & (certified > e) for e in eps]
        expected = [rounded_down(Fraction(int(k.sum()), len(k))) for k in kept]
        np.testing.assert_array_equal(certified_recall(scores, eps), expected)


BAD_PAIRS = [
    ({"normal_scores": []}, r"normal_scores must be a non-empty 1-d array, got shape \(0,\)"),
    ({"anomaly_scores": [[1.0]]}, r"anomaly_scores must be .* got shape \(1, 1\)"),
    ({"normal_scores": [1.0, np.nan]}, "normal_scores must be finite, got 1 NaN or infinite of 2"),
    ({"anomaly_scores": [np.inf]}, "anomaly_scores must be finite"),
    ({"normal_scores": ["a"]}, "normal_scores must hold real numbers, got dtype <U1"),
    ({"normal_scores": [1j]}, "normal_scores must hold real numbers, got dtype complex128"),
    ({"radii": []}, "radii must be a non-empty 1-d array"),
    ({"radii": [[0.1]]}, r"radii must be a non-empty 1-d array, got shape \(1, 1\)"),
    ({"radii": [0.1, -0.5]}, "radii must be 0 or more, got -0.5"),
    ({"radii": np.inf}, "radii must be finite"),
    ({"lipschitz": 0.0}, "lipschitz must be a finite number > 0; got 0.0"),
    ({"lipschitz": np.nan}, "lipschitz must be a finite number; got nan"),
    ({"slack": -1.0}, "slack must be 0 or more, got -1.0"),
    ({"slack": [0.0, -1.0]}, "slack must be 0 or more, got -1.0"),
    ({"slack": [0.0]}, r"slack must be a number or one per entry of radii \(2\), got 1"),
    ({"attacked": "all"}, "attacked must be one of 'both', 'anomalies', 'normals', got 'all'"),
]


@pytest.mark.parametrize("function", [certified_auroc, certified_tpr])
@pytest.mark.parametrize(("change", "message"), BAD_PAIRS)
def test_bad_input_is_named(function, change, message):
    good = {"normal_scores": [1.0], "anomaly_scores": [0.0], "radii": [0.1, 0.2]}
    with pytest.raises(ValueError, match=message):
        function(**{**good, **change})


@pytest.mark.parametrize("fpr", [-0.1, 1.0, np.nan])
def test_bad_rate_is_named(fpr):
    with pytest.raises(ValueError, match="fpr must be a"):
        certified_tpr([1.0], [0.0], 0.1, fpr=fpr)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": []}, "scores must be a non-empty 1-d array"),
        ({"scores": 1.0}, r"scores must be a non-empty 1-d array, got shape \(\)"),
        ({"offset": np.inf}, "offset must be a finite number; got inf"),
        ({"lipschitz": -1.0}, "lipschitz must be a finite number > 0; got -1.0"),
        ({"slack": [0.1, 0.1]}, r"one per entry of scores \(1\), got 2"),
    ],
)
def test_bad_input_of_the_radius_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        certified_radius(**{"scores": [1.0], **change})


def test_bad_threshold_is_named():
    with pytest.raises(ValueError, match="threshold must be a finite number; got 'low'"):
        certified_recall([1.0], 0.1, threshold="low")


def worst_case_auroc(normals, anomalies, shift):
    """Every pair after the worst attack, in exact rational arithmetic: a Fraction."""
    gaps = [Fraction(float(a)) - Fraction(float(b)) - shift for a in normals for b in anomalies]
    return sum(Fraction(1 + (gap > 0) - (gap < 0), 2) for gap in gaps) / len(gaps)


KINDS = {
    "continuous": lambda rng, n: rng.normal(size=n),
    "tied": lambda rng, n: rng.integers(-3, 4, size=n) / 10,
    "huge": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-12, 13, size=n),
    "nearly equal": lambda rng, n: 1.0 + rng.integers(-4, 5, size=n) * 2.0**-52,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attacked", ATTACKED)
def test_T8_no_certified_auroc_is_above_the_exact_worst_case(kind, attacked):
    """600 in all: 50 for each kind of scores and each side attacked."""
    rng = np.random.default_rng(19)
    for _ in range(50):
        n_normals, n_anomalies = rng.integers(1, 12, size=2)
        normals = KINDS[kind](rng, n_normals) + rng.choice([0.0, 0.1])
        anomalies = KINDS[kind](rng, n_anomalies)
        eps = float(rng.choice([0.0, 0.1, 2.0**-52, abs(rng.normal())]))
        lipschitz, slack = float(rng.choice([1.0, 0.3, 1.7])), float(rng.choice([0.0, 1e-9]))
        found = float(certified_auroc(normals, anomalies, eps, lipschitz, attacked, slack)[0])
        exact = worst_case_auroc(normals, anomalies, exact_shift(eps, lipschitz, attacked, slack))
        assert Fraction(found) <= exact
        # Not far below either: only a shift that is no float64 can turn ties into losses.
        assert found >= float(exact) - 0.5 or kind != "continuous"
        if kind == "continuous":
            assert found == rounded_down(exact)


@pytest.mark.parametrize("share", [certified_tpr, certified_recall])
def test_T8_no_other_share_is_above_the_exact_one(share):
    for n in range(1, 60):
        scores = np.r_[np.full(n // 2, -1.0), np.full(n - n // 2, 1.0)]
        known = (np.ones(3), scores) if share is certified_tpr else (scores,)
        assert Fraction(float(share(*known, 0.0)[0])) <= Fraction(n // 2, n)
