"""Rows to fit on and rows to judge: shares, strata, no row lost, no label moved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from ocsdf.data.splits import CONTAMINATIONS, PROTOCOLS, reduce_rows, split, split_one_class


def table(n_normals, n_anomalies, seed=0):
    """Distinct rows, anomalies scattered among them."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], [n_normals, n_anomalies]))
    return rng.normal(size=(len(y), 2)), y


class TestReduceRows:
    @given(
        n_normals=st.integers(0, 300), n_anomalies=st.integers(0, 300), n_rows=st.integers(40, 90)
    )
    def test_strata_and_least_anomalies(self, n_normals, n_anomalies, n_rows):
        _, y = table(n_normals, n_anomalies)
        rows = reduce_rows(y, n_rows=n_rows, least_anomalies=5)
        assert len(rows) == min(len(y), n_rows)
        assert (np.diff(rows) > 0).all()
        kept = y[rows].sum()
        if len(y) <= n_rows:
            assert kept == n_anomalies
        else:
            share = n_rows * n_anomalies / len(y)
            assert kept >= min(5, n_anomalies)
            assert abs(kept - max(share, min(5, n_anomalies))) <= 0.5

    def test_the_rule_of_the_benchmark(self):
        y = np.repeat([0, 1], [95_126, 30])
        rows = reduce_rows(y)
        assert (len(rows), y[rows].sum()) == (5_000, 20)
        np.testing.assert_array_equal(rows, reduce_rows(y))
        assert not np.array_equal(rows, reduce_rows(y, seed=1))
        few = np.repeat([0, 1], [9_993, 7])
        assert few[reduce_rows(few)].sum() == 7

    def test_only_labels_matter_not_their_order(self):
        y = np.random.default_rng(0).permutation(np.repeat([0, 1], [7_000, 700]))
        assert y[reduce_rows(y)].sum() == round(5_000 * 700 / 7_700)


class TestSplit:
    def test_ad_fits_and_judges_all(self):
        X, y = table(30, 5)
        parts = split(X, y, "ad", 3)
        np.testing.assert_array_equal(parts.train_rows, np.arange(35))
        np.testing.assert_array_equal(parts.test_rows, np.arange(35))
        assert not parts.leaks

    def test_oc_is_the_one_class_split(self):
        X, y = table(31, 5)
        for seed in (0, 1):
            parts = split(X, y, "oc", seed)
            expected = split_one_class(y, random_state=seed)
            np.testing.assert_array_equal(parts.train_rows, expected[0])
            np.testing.assert_array_equal(parts.test_rows, expected[1])

    @pytest.mark.parametrize("n_rows", [200, 1_500, 12_000])
    def test_adbench_draws_what_adbench_draws(self, n_rows):
        X, y = table(n_rows - n_rows // 10, n_rows // 10)
        # As its data generator does, on the global generator.
        np.random.seed(7)
        drawn = np.arange(n_rows)
        if n_rows < 1_000:
            drawn = np.random.choice(np.arange(n_rows), 1_000, replace=True)
        if n_rows > 10_000:
            drawn = np.random.choice(np.arange(n_rows), 10_000, replace=False)
        X_train, X_test, y_train, y_test = train_test_split(
            X[drawn], y[drawn], test_size=0.3, shuffle=True, stratify=y[drawn]
        )
        parts = split(X, y, "adbench", 7)
        np.testing.assert_array_equal(X[parts.train_rows], X_train)
        np.testing.assert_array_equal(X[parts.test_rows], X_test)
        np.testing.assert_array_equal(y[parts.test_rows], y_test)
        assert parts.leaks == (n_rows < 1_000)
        assert parts.leaks == bool(np.isin(parts.test_rows, parts.train_rows).any())

    def test_clean_has_no_row_on_both_sides(self):
        X, y = table(180, 20)
        X, y = np.concatenate([X, X[:50], X[:7]]), np.concatenate([y, y[:50], y[:7]])
        parts = split(X, y, "clean", 0)
        assert not parts.leaks
        both = np.concatenate([parts.train_rows, parts.test_rows])
        np.testing.assert_array_equal(np.sort(both), np.arange(200))
        assert (len(parts.train_rows), len(parts.test_rows)) == (140, 60)
        assert (y[parts.train_rows].sum(), y[parts.test_rows].sum()) == (14, 6)

    @given(
        n_normals=st.integers(2, 200),
        n_anomalies=st.integers(1, 80),
        share=st.floats(0.0, 0.9),
        seed=st.integers(0, 3),
    )
    def test_contaminated_share(self, n_normals, n_anomalies, share, seed):
        X, y = table(n_normals, n_anomalies)
        parts = split(X, y, "contaminated", seed, contamination=share)
        both = np.concatenate([parts.train_rows, parts.test_rows])
        np.testing.assert_array_equal(np.sort(both), np.arange(len(y)))
        added = y[parts.train_rows].sum()
        normals = parts.train_rows[y[parts.train_rows] == 0]
        assert added <= n_anomalies // 2
        assert set(normals) <= set(split(X, y, "oc", seed).train_rows)
        # One row of either kind more or less would be as near to the share, or nearer.
        left = len(normals)
        assert abs(added * (1 - share) - left * share) <= 0.5 * max(share, 1 - share) + 1e-9

    def test_contaminated_by_nothing_is_oc_and_more_keeps_the_anomalies_of_less(self):
        X, y = table(400, 100)
        splits = [split(X, y, "contaminated", 1, contamination=share) for share in CONTAMINATIONS]
        np.testing.assert_array_equal(splits[0].train_rows, split(X, y, "oc", 1).train_rows)
        added = [{row for row in parts.train_rows if y[row]} for parts in splits]
        assert [len(rows) for rows in added] == [0, 2, 11, 22, 50]
        assert all(less <= more for less, more in zip(added, added[1:], strict=False))

    @pytest.mark.parametrize("protocol", sorted(set(PROTOCOLS) - {"fixed"}))
    def test_the_seed_decides(self, protocol):
        X, y = table(100, 30)
        share = 0.1 if protocol == "contaminated" else None
        first, again, other = (split(X, y, protocol, seed, share) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first.train_rows, again.train_rows)
        assert np.array_equal(first.train_rows, other.train_rows) == (protocol == "ad")

    def test_errors(self):
        X, y = table(20, 5)
        with pytest.raises(ValueError, match="no protocol is named 'odd': choose among ad, oc"):
            split(X, y, "odd", 0)
        with pytest.raises(ValueError, match="protocol='oc', contamination=0.1"):
            split(X, y, "oc", 0, contamination=0.1)
        with pytest.raises(ValueError, match="contamination=None"):
            split(X, y, "contaminated", 0)
        with pytest.raises(ValueError, match=r"0 <= share < 1, got 1\.0"):
            split(X, y, "contaminated", 0, contamination=1.0)
