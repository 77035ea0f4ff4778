"""Categories, dates and missing values inside the estimator, and what its certificate says."""

import json
import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.utils import get_tags

from ocsdf import OCSDF, ConformalDetector
from ocsdf.attacks.gradient_descent import pgd
from ocsdf.data.columns import CATEGORY_DISTANCE
from ocsdf.networks.gradients import unit
from ocsdf.sklearn_compat import OCSDFDetector, score_frame
from ocsdf.utils.archives import from_archive, to_archive
from tests.samples import START, mixed_table

TINY = {"hidden_layer_sizes": (8, 8), "epochs": 1, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def with_gaps(frame):
    frame = frame.copy()
    frame.loc[::7, "load"] = np.nan
    frame.loc[::11, "proto"] = None
    frame.loc[::13, "when"] = pd.NaT
    return frame


FRAME = mixed_table(90, 10**14, "ns")


@pytest.fixture(scope="module", params=[{}, {"method": "paper"}, {"standardize": False}])
def any_kind(request):
    numbers = FRAME.drop(columns="when") if "standardize" in request.param else FRAME
    return OCSDF(**TINY, **request.param).fit(numbers), numbers


@pytest.fixture(scope="module")
def fitted():
    return OCSDF(**TINY).fit(FRAME)


@pytest.fixture(scope="module")
def fitted_with_gaps():
    return OCSDF(missing="indicate", **TINY).fit(with_gaps(FRAME))


class TestCertificate:
    def test_attacks_on_numbers_never_flip_inside_the_radius(self, any_kind):
        """Steepest steps on the numbers, categories held, from each row, at 1 - 1e-9 of r."""
        detector, frame = any_kind
        points = detector._checked_points(frame)[:]
        radius, verdicts = detector.certified_radius(frame), detector.predict(frame)
        free = ~detector.encoder_.is_code_
        rng = np.random.default_rng(1)
        step = unit(rng.normal(size=points.shape) * free)
        for _ in range(20):
            attacked = points + (1.0 - 1e-9) * radius[:, None] * step
            scores, gradient = detector._network.value_and_gradient(attacked)
            flipped = np.where(scores - detector.offset_ >= 0.0, 1, -1) != verdicts
            assert not flipped[radius > 0.0].any()
            step = unit(step - 0.5 * verdicts[:, None] * unit(gradient * free))

    def test_swapped_categories_cost_their_distance(self, any_kind):
        """k categories and numbers moved by r: f moves by at most L sqrt(r^2 + k c^2)."""
        detector, frame = any_kind
        scores, slack = detector.score_samples(frame), detector.float_slack(frame)
        points = detector._checked_points(frame)[:]
        moves = {"proto": "icmp", "flag": "R"}
        for names in (["proto"], ["flag"], ["proto", "flag"]):
            changed = frame.assign(**{name: moves[name] for name in names})
            changed["size"] += 0.3
            there = detector._checked_points(changed)[:]
            k = sum((changed[name] != frame[name]).to_numpy() for name in names)
            free = ~detector.encoder_.is_code_
            r = np.linalg.norm((there - points)[:, free], axis=1)
            distance = np.sqrt(r**2 + k * CATEGORY_DISTANCE**2)
            np.testing.assert_allclose(np.linalg.norm(there - points, axis=1), distance, rtol=1e-12)
            moved = np.abs(detector.score_samples(changed) - scores)
            assert np.all(moved <= detector.lipschitz_bound_ * distance + slack + 1e-12)
            # So no verdict with a larger radius flips.
            kept = detector.certified_radius(frame) > distance
            assert np.array_equal(detector.predict(changed)[kept], detector.predict(frame)[kept])

    def test_codes_are_neither_standardized_nor_stretched(self, any_kind):
        detector, frame = any_kind
        codes = detector.encoder_.is_code_
        points = detector._checked_points(frame)[:]
        np.testing.assert_array_equal(
            points[:, codes], detector.encoder_.transform(frame)[:, codes]
        )
        assert set(np.unique(points[:, codes])) == {0.0, 1.0}

    def test_a_missing_value_is_the_median_and_a_code_away(self, fitted_with_gaps):
        detector, encoder = fitted_with_gaps, fitted_with_gaps.encoder_
        median = encoder.columns_[3].median
        rows = with_gaps(FRAME).iloc[[1, 1]].assign(load=[median, np.nan])
        there, gone = detector._checked_points(rows)[:]
        assert np.linalg.norm(there - gone) == pytest.approx(CATEGORY_DISTANCE, rel=1e-12)

    def test_the_rounding_of_nanoseconds_is_in_the_slack(self, fitted):
        """Dates 500 ns apart have equal coordinates: the slack covers the way between them."""
        whole = FRAME.assign(when=FRAME["when"].dt.floor("us"))
        beside = whole.assign(when=whole["when"] + pd.Timedelta(nanoseconds=499))
        np.testing.assert_array_equal(fitted.score_samples(whole), fitted.score_samples(beside))
        without = OCSDF(**TINY).fit(FRAME.drop(columns="when"))
        assert without.encoder_.rounding_.max() == 0.0
        place = fitted.encoder_.places_[2].start
        slope = (
            1.0
            if fitted.stretch_ is None
            else fitted.stretch_.slopes_at(
                (fitted.encoder_.transform(whole) - fitted.mean_) / fitted.scale_
            )[:, place]
        )
        least = fitted.lipschitz_bound_ * slope * 0.5 / fitted.scale_[place]
        assert np.all(fitted.float_slack(FRAME) >= 2.0 * least)


class TestFrames:
    @pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
    def test_of_every_library_score_alike(self, fitted, convert):
        expected = fitted.score_samples(FRAME)
        np.testing.assert_array_equal(fitted.score_samples(convert(FRAME)), expected)
        again = OCSDF(**TINY).fit(convert(FRAME))
        np.testing.assert_array_equal(again.score_samples(FRAME), expected)

    def test_of_numbers_score_as_arrays_do(self):
        numbers = FRAME[["size", "load"]].assign(flag=FRAME["flag"] == "S")
        detector = OCSDF(**TINY).fit(numbers)
        assert detector.encoder_ is None
        array = numbers.to_numpy(dtype=np.float64)
        expected = OCSDF(**TINY).fit(array).score_samples(array)
        np.testing.assert_array_equal(detector.score_samples(numbers), expected)

    def test_scores_do_not_depend_on_the_chunks(self, fitted, monkeypatch):
        expected = fitted.score_samples(FRAME), fitted.certified_radius(FRAME)
        monkeypatch.setattr("ocsdf.sklearn_compat.input_checks._CHUNK_CELLS", 50)
        np.testing.assert_allclose(fitted.score_samples(FRAME), expected[0], rtol=1e-12)
        np.testing.assert_allclose(fitted.certified_radius(FRAME), expected[1], rtol=1e-9)
        with pytest.raises(ValueError, match="'proto' held text in fit, and holds numbers now"):
            fitted.predict(FRAME.assign(proto=[*FRAME["proto"][:-1], 5]))

    def test_features_are_columns(self, fitted):
        assert fitted.n_features_in_ == 5
        assert list(fitted.feature_names_in_) == list(FRAME.columns)
        assert len(fitted.mean_) == len(fitted.encoder_.is_code_) == 10

    def test_categories_named_in_an_array(self):
        rows = np.column_stack([FRAME["size"], np.tile([1.0, 2.0, 7.0], 30)])
        detector = OCSDF(categorical_features=[1], **TINY).fit(rows)
        near, far = rows[:1].copy(), rows[:1].copy()
        near[0, 1], far[0, 1] = 2.0, 7.0
        points = [detector._checked_points(one)[:] for one in (rows[:1], near, far)]
        distances = [np.linalg.norm(points[0] - other) for other in points[1:]]
        np.testing.assert_allclose(distances, CATEGORY_DISTANCE, rtol=1e-15)

    def test_rows_of_weight_0_teach_nothing(self):
        odd = pd.concat([FRAME, FRAME.iloc[:9].assign(proto="gre")], ignore_index=True)
        weights = np.r_[np.ones(len(FRAME)), np.zeros(9)]
        detector = OCSDF(**TINY).fit(odd, sample_weight=weights)
        assert "gre" not in detector.encoder_.columns_[1].categories

    def test_calibrated_and_in_the_contract_of_pyod(self):
        calibrated = ConformalDetector(OCSDF(**TINY), calibration=0.3, random_state=0).fit(FRAME)
        scores = score_frame(calibrated, FRAME.iloc[:5])
        assert list(scores)[:4] == ["score", "verdict", "certified_radius", "p_value"]
        detector = OCSDFDetector(OCSDF(**TINY), contamination=0.1).fit(FRAME)
        np.testing.assert_array_equal(detector.decision_function(FRAME), detector.decision_scores_)

    def test_a_cluster_of_another_category_is_far(self):
        """What a detector of the numbers alone cannot tell."""
        detector = OCSDF(**TINY).fit(mixed_table(400, 10**14, "ns"))
        fine = pd.DataFrame(
            {"size": [0.0], "proto": ["tcp"], "when": [START], "load": [100.0], "flag": ["S"]}
        )
        scores = [detector.score_samples(fine.assign(proto=p))[0] for p in ("tcp", "gre")]
        assert scores[1] < scores[0] - 0.2


CHANGED = {
    "a missing value": ({"size": np.nan}, "'size' has missing values, and had none in fit"),
    "a missing category": ({"flag": None}, "'flag' has missing values, and had none in fit"),
    "a missing date": ({"when": pd.NaT}, "'when' has missing values, and had none in fit"),
    "a category in numbers": ({"size": "high"}, "'size' held numbers in fit, and holds text now"),
    "numbers in categories": ({"proto": 6}, "'proto' held text in fit, and holds numbers now"),
    "numbers for dates": ({"when": 5.0}, "'when' held dates in fit, and holds numbers now"),
    "text for dates": ({"when": "2024-03-01"}, "'when' held dates in fit, and holds text now"),
    "durations": ({"when": pd.Timedelta(1, "h")}, "held dates in fit, and holds durations now"),
    "a time zone": (
        {"when": START.tz_localize("UTC")},
        "held dates in fit, and holds dates with a time zone now",
    ),
    "infinity": ({"load": np.inf}, "'load' contains infinity"),
    "a large integer": ({"load": 2**53 + 1}, "cannot hold exactly in column 'load'"),
}


class TestWhatChangesAtScoring:
    @pytest.mark.parametrize("case", CHANGED)
    def test_is_refused_in_one_line(self, fitted, case):
        values, message = CHANGED[case]
        with pytest.raises(ValueError, match=message) as caught:
            fitted.score_samples(FRAME.assign(**values))
        assert "\n" not in str(caught.value)

    def test_columns(self, fitted):
        with pytest.raises(ValueError, match="feature names should match"):
            fitted.predict(FRAME.drop(columns="flag"))
        with pytest.raises(ValueError, match="minimum of 1 is required"):
            fitted.predict(FRAME.iloc[:0])

    def test_an_unseen_category_is_another_one(self, fitted):
        rows = FRAME.iloc[[0, 0]].assign(proto=["gre", "esp"])
        scores = fitted.score_samples(rows)
        assert scores[0] == scores[1]

    def test_other_types_of_the_same_values(self, fitted):
        same = FRAME.assign(
            size=FRAME["size"].astype("Float64"),
            proto=FRAME["proto"].astype("category"),
            flag=FRAME["flag"].astype(object),
        )
        np.testing.assert_array_equal(fitted.score_samples(same), fitted.score_samples(FRAME))
        rounded = fitted.score_samples(FRAME.assign(size=FRAME["size"].astype(np.float32)))
        np.testing.assert_allclose(rounded, fitted.score_samples(FRAME), atol=1e-4)

    def test_a_column_that_is_all_missing(self):
        frame = FRAME.assign(load=np.nan)
        with pytest.raises(ValueError, match="'load' has missing values: fill them"):
            OCSDF(**TINY).fit(frame)
        detector = OCSDF(missing="indicate", **TINY).fit(frame)
        scores = detector.score_samples(frame)
        assert np.all(detector.score_samples(FRAME) < scores)

    def test_a_frame_of_numbers_that_becomes_mixed(self):
        numbers = FRAME[["size", "load"]]
        detector = OCSDF(**TINY).fit(numbers)
        with pytest.raises(ValueError, match="text in column 'load'; every column must be numeric"):
            detector.score_samples(numbers.assign(load="high"))


class TestWhatFitRefuses:
    @pytest.mark.parametrize(
        ("column", "message"),
        [
            ([{}] * 90, "'x' holds lists, dicts or the like"),
            ([START.time()] * 90, "'x' holds dates or durations as Python objects"),
            ([START.date()] * 90, "'x' holds dates or durations as Python objects"),
            (pd.period_range("2020", periods=90, freq="D"), "'x' holds periods"),
            ([1j] * 90, "Complex data not supported"),
            (pl.Series([START.time()] * 90), "'x' holds times of day"),
            (pl.Series([[1]] * 90), "'x' holds lists or structs"),
        ],
    )
    def test_columns(self, column, message):
        if isinstance(column, pl.Series):
            frame = pl.from_pandas(FRAME).with_columns(column.alias("x"))
        else:
            frame = FRAME.assign(x=column)
        with pytest.raises(ValueError, match=message) as caught:
            OCSDF(**TINY).fit(frame)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"categorical_features": "proto"}, "categorical_features must be 'from_dtype'"),
            ({"categorical_features": 3}, "categorical_features must be 'from_dtype'"),
            ({"categorical_features": ["protocol"]}, "which is none of the 5 columns"),
            ({"categorical_features": ["flag"]}, "Column 'proto' holds text: name it in"),
            (
                {"categorical_features": None},
                "text in column 'proto'; every column must be numeric",
            ),
            ({"missing": "median"}, "missing must be one of 'error', 'indicate'"),
        ],
    )
    def test_parameters(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            OCSDF(**TINY, **parameters).fit(FRAME)

    def test_constant_tables_sparse_ones_and_text_in_arrays(self):
        with pytest.raises(ValueError, match="All 2 columns are constant over the 5 training rows"):
            OCSDF(**TINY).fit(pd.DataFrame({"a": ["x"] * 5, "b": [1.0] * 5}))
        with pytest.raises(ValueError, match="every column must be numeric"):
            OCSDF(**TINY).fit(FRAME.drop(columns="when").to_numpy())
        sparse = pytest.importorskip("scipy.sparse").csr_array(np.eye(5))
        with pytest.raises(ValueError, match="are for dense tables"):
            OCSDF(missing="indicate", **TINY).fit(sparse)

    @pytest.mark.parametrize("what", ["sample_level_set", "sample_network", "export"])
    def test_methods_that_move_every_column(self, fitted, what, tmp_path):
        argument = {"sample_level_set": 3, "sample_network": FRAME, "export": tmp_path / "m.onnx"}
        with pytest.raises(
            ValueError, match="'proto', 'when', 'flag'.*fit it on the other columns"
        ):
            getattr(fitted, what)(argument[what])

    def test_attacks(self, fitted):
        with pytest.raises(ValueError, match="half a category is no row"):
            pgd(fitted, FRAME, -1, 0.1)

    def test_tags_tell_who_takes_missing_values(self):
        assert not get_tags(OCSDF()).input_tags.allow_nan
        assert get_tags(OCSDF(missing="indicate")).input_tags.allow_nan


class TestFiles:
    def test_score_as_before(self, fitted_with_gaps, tmp_path):
        fitted_with_gaps.save(tmp_path / "m.ocsdf")
        rows = with_gaps(FRAME)
        for again in (
            OCSDF.load(tmp_path / "m.ocsdf"),
            pickle.loads(pickle.dumps(fitted_with_gaps)),
        ):
            assert again.n_features_in_ == 5
            for method in ("score_samples", "certified_radius"):
                before = getattr(fitted_with_gaps, method)(rows)
                np.testing.assert_array_equal(getattr(again, method)(rows), before)

    def test_other_values_than_text_stay_what_they_are(self, tmp_path):
        ages = pd.cut(FRAME["load"], [0, 90, 110, 300])
        detector = OCSDF(**TINY).fit(FRAME.assign(age=ages))
        detector.save(tmp_path / "m.ocsdf")
        again = OCSDF.load(tmp_path / "m.ocsdf")
        rows = FRAME.assign(age=ages)
        np.testing.assert_array_equal(again.score_samples(rows), detector.score_samples(rows))

    @pytest.mark.parametrize(
        "damage",
        [
            lambda encoder: encoder.pop(),
            lambda encoder: encoder.append(encoder[0]),
            lambda encoder: encoder[1].update(keys=[["text", "tcp"]] * 3),
            lambda encoder: encoder[1].update(keys=[["text", {}]]),
            lambda encoder: encoder[1].update(kinds=["colours"]),
            lambda encoder: encoder[1].update(missing="no"),
            lambda encoder: encoder[0].update(median=math.inf),
            lambda encoder: encoder[0].update(kind="os.system"),
            lambda encoder: encoder.__setitem__(slice(0, 2), encoder[1::-1]),
        ],
    )
    def test_that_do_not_fit_together_are_refused(self, fitted, tmp_path, damage):
        path = tmp_path / "m.ocsdf"
        fitted.save(path)
        meta, arrays = from_archive(path.read_bytes())
        damage(meta["encoder"])
        path.write_bytes(to_archive(json.loads(json.dumps(meta)), arrays))
        with pytest.raises(ValueError, match="damaged"):
            OCSDF.load(path)

    @pytest.mark.parametrize("name", ["mean", "scale", "stretch.slopes"])
    def test_codes_in_other_units_are_refused(self, fitted, tmp_path, name):
        """A file cannot make the distance of categories another one than is certified."""
        path = tmp_path / "m.ocsdf"
        fitted.save(path)
        meta, arrays = from_archive(path.read_bytes())
        arrays[name] = arrays[name].astype(np.float64)
        at = np.flatnonzero(fitted.encoder_.is_code_)[0]
        if name == "stretch.slopes":
            counts = fitted.stretch_.counts.astype(int)
            at = int((counts + 1)[:at].sum())
            arrays[name][at + 1] = 2.0
        else:
            arrays[name][at] = 2.0
        path.write_bytes(to_archive(meta, arrays))
        with pytest.raises(ValueError, match="damaged"):
            OCSDF.load(path)
