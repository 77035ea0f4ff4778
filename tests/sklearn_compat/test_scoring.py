"""Scoring tables of any size, kind and place, a chunk of rows at a time."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ocsdf import OCSDF
from tests.reference import forward

N_ROWS = 200_000
MEGABYTE = 2**20

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def X():
    rows = np.random.default_rng(0).normal(size=(N_ROWS, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -1.0]
    return rows.astype(np.float32).astype(np.float64)


SMALL = {"hidden_layer_sizes": (16, 16), "epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def detector(X):
    """A network alone, which scores many rows at once; the default has its own tests below."""
    return OCSDF(method="paper", **SMALL).fit(X[:200])


@pytest.fixture(scope="module")
def named(X):
    rows = pd.DataFrame(X[:200], columns=list("abc"))
    return OCSDF(method="paper", **SMALL).fit(rows)


@pytest.fixture(scope="module")
def default(X):
    return OCSDF(**SMALL).fit(X[:200])


@pytest.fixture(scope="module")
def scores(detector, X):
    return detector.score_samples(X)


def on_disk(folder, rows):
    np.save(folder / "rows.npy", rows)
    return np.load(folder / "rows.npy", mmap_mode="r")


KINDS = {
    "Fortran order": lambda X, folder: np.asfortranarray(X),
    "strided": lambda X, folder: np.repeat(X, 2, axis=0)[::2],
    "float32": lambda X, folder: X.astype(np.float32),
    "memory-mapped": lambda X, folder: on_disk(folder, X),
    "memory-mapped float32": lambda X, folder: on_disk(folder, X.astype(np.float32)),
    "memory-mapped Fortran order": lambda X, folder: on_disk(folder, np.asfortranarray(X)),
}
FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, columns=list("abc")),
    "pandas, kinds mixed": lambda X: pd.DataFrame(X, columns=list("abc")).astype({"a": "float32"}),
    "pandas nullable": lambda X: pd.DataFrame(X, columns=list("abc")).convert_dtypes(),
    "polars": lambda X: pl.DataFrame(X, schema=list("abc")),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_kind_of_array_changes_no_bit(detector, X, scores, tmp_path, make):
    np.testing.assert_array_equal(detector.score_samples(make(X, tmp_path)), scores)


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_kind_of_frame_changes_no_bit(named, X, scores, make):
    np.testing.assert_array_equal(named.score_samples(make(X)), scores)


@pytest.mark.parametrize("n_rows", [1, 87_381, 87_382, 100_000])
def test_number_of_rows_changes_less_than_the_slack(detector, X, scores, n_rows):
    found, slack = detector.score_samples(X[:n_rows]), detector.float_slack(X[:n_rows])
    assert (np.abs(found - scores[:n_rows]) < slack).all()


def test_scores_are_those_of_the_oracle_within_their_slack(detector, X, scores):
    points = (X - detector.mean_) / detector.scale_
    assert (np.abs(scores - forward(detector.model_, points)) <= detector.float_slack(X)).all()


@pytest.mark.parametrize("method", ["float_slack", "certified_radius", "predict"])
def test_certificates_and_verdicts_depend_on_company_by_rounding_only(detector, X, method):
    use = getattr(detector, method)
    whole = use(X)
    assert whole.shape == (N_ROWS,)
    for i in (0, 90_000, N_ROWS - 1):
        slack = detector.float_slack(X[i : i + 1])
        assert abs(use(X[i : i + 1]) - whole[i]) < slack / detector.lipschitz_bound_


@pytest.mark.parametrize("kind", ["array", "memory-mapped", "pandas"])
@pytest.mark.parametrize("method", ["score_samples", "certified_radius"])
def test_memory_grows_by_the_output_only(detector, named, tmp_path, kind, method):
    rows = np.random.default_rng(1).normal(size=(1_000_000, 3)).astype(np.float32)
    detector, rows = {
        "array": lambda: (detector, rows),
        "memory-mapped": lambda: (detector, on_disk(tmp_path, rows)),
        "pandas": lambda: (named, pd.DataFrame(rows, columns=list("abc"))),
    }[kind]()
    use = getattr(detector, method)
    use(rows[:10])
    tracemalloc.start()
    found = use(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == len(rows)
    # A radius is computed from arrays as long as itself: scores, slack and a few between.
    n_outputs = {"score_samples": 1, "certified_radius": 6}[method]
    assert peak < n_outputs * found.nbytes + 20 * MEGABYTE


class TestDefault:
    N_ROWS = 20_000

    def test_kind_of_rows_changes_no_bit_and_their_number_less_than_the_slack(
        self, default, X, tmp_path
    ):
        rows = X[: self.N_ROWS]
        scores, slack = default.score_samples(rows), default.float_slack(rows)
        for make in KINDS.values():
            np.testing.assert_array_equal(default.score_samples(make(rows, tmp_path)), scores)
        for n_rows in (1, 511, 8_193):
            for place in (slice(n_rows), slice(-n_rows, None)):
                found = default.score_samples(rows[place])
                assert (np.abs(found - scores[place]) < slack[place]).all()

    def test_scores_are_those_of_the_oracle_within_their_slack(self, default, X):
        rows = X[:: N_ROWS // 2000]
        in_float32 = default.model_(default._points_of(rows)).numpy()[:, 0]
        np.testing.assert_allclose(default.score_samples(rows), in_float32, atol=1e-4)

    @pytest.mark.parametrize("method", ["score_samples", "certified_radius"])
    def test_memory_does_not_grow_with_the_rows(self, default, X, method):
        use = getattr(default, method)
        rows = X[: 4 * self.N_ROWS].astype(np.float32)
        use(rows[:10])
        tracemalloc.start()
        found = use(rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # All distances to the references would take 960 MB.
        assert found.shape == (len(rows),) and peak < 60 * MEGABYTE


BAD_ROWS = {
    "in the last row": ({-1: [np.nan, 1, 2]}, "contains NaN in columns {0};"),
    "in columns of different chunks": (
        {0: [1, 2, np.nan], 100_000: [np.nan, 2, 3], -1: [1, np.inf, 3]},
        "contains NaN and infinity in columns {0}, {1}, {2};",
    ),
    "infinity in the middle": ({99_999: [1, -np.inf, 2]}, "contains infinity in columns {1};"),
}


@pytest.mark.parametrize(("bad", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_all_bad_columns_are_named_wherever_they_are(detector, named, X, bad, message, monkeypatch):
    rows = X.copy()
    for place, values in bad.items():
        rows[place] = values
    for fitted in (detector, named):
        # Before any work: nothing is scored.
        monkeypatch.setattr(type(fitted._network), "score", None)
    with pytest.raises(ValueError, match=message.format(0, 1, 2)):
        detector.score_samples(rows)
    with pytest.raises(ValueError, match=message.format("'a'", "'b'", "'c'")):
        named.score_samples(pd.DataFrame(rows, columns=list("abc")))


def test_bad_values_far_down_a_table(detector, named, X):
    objects = X.astype(object)
    objects[-1, 1] = "text"
    with pytest.raises(ValueError, match="holds text; every column must be numeric"):
        detector.score_samples(objects)
    objects[-1, 1] = {}
    with pytest.raises(TypeError, match="every column must be numeric"):
        detector.score_samples(objects)
    objects[-1, 1] = None
    with pytest.raises(ValueError, match="NaN in columns 1;"):
        detector.score_samples(objects)
    with pytest.raises(ValueError, match="Complex data not supported"):
        detector.score_samples(X + 1j)
    with pytest.raises(ValueError, match="X has 4 features, but OCSDF is expecting 3"):
        detector.score_samples(np.ones((N_ROWS, 4)))
    with pytest.raises(ValueError, match="feature names"):
        named.score_samples(pd.DataFrame(X, columns=list("abz")))


def test_missing_names_warn_once(named, X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        named.score_samples(X)
    assert [str(warning.message) for warning in caught if "names" in str(warning.message)] == [
        "X does not have valid feature names, but OCSDF was fitted with feature names"
    ]
