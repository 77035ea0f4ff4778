"""Reasons of rows with categories, dates and missing values: whole rows, bounds on both sides."""

import numpy as np
import pandas as pd
import pytest

from ocsdf import OCSDF
from ocsdf.data.columns import CATEGORY_DISTANCE
from ocsdf.displays.explanation import ExplanationDisplay
from ocsdf.explanation.swaps import boundary_by_swaps
from tests.samples import START, mixed_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


FRAME = mixed_table(600, 10**8, "ms")
USUAL = pd.DataFrame(
    {"size": [0.0], "proto": ["tcp"], "when": [START], "load": [100.0], "flag": ["S"]}
)
ODD = pd.concat(
    [
        FRAME.iloc[:4],
        USUAL.assign(proto="gre"),
        USUAL.assign(proto="gre", flag="Z"),
        USUAL.assign(proto="gre", flag="Z", load=300.0),
        USUAL.assign(when=START + pd.Timedelta(days=300)),
    ],
    ignore_index=True,
)


@pytest.fixture(scope="module")
def detector():
    return OCSDF(hidden_layer_sizes=(8, 8), epochs=1, random_state=0).fit(FRAME)


@pytest.fixture(scope="module")
def explanation(detector):
    return detector.explain(ODD)


def as_frame(explanation):
    """Boundary points as rows that may be scored; "other" is no category of training."""
    frame = pd.DataFrame(explanation.boundary, columns=FRAME.columns).infer_objects()
    return frame.assign(when=pd.to_datetime(frame["when"]).dt.as_unit("us"))


def test_boundary_points_are_rows_with_the_other_verdict(detector, explanation):
    assert explanation.converged.all()
    flipped = detector.predict(as_frame(explanation))
    np.testing.assert_array_equal(flipped, -detector.predict(ODD))


def test_distance_is_that_of_numbers_moved_and_categories_swapped(detector, explanation):
    """sqrt(r^2 + k c^2), at least the certified radius."""
    there = detector._checked_points(as_frame(explanation))[:]
    points = detector._checked_points(ODD)[:]
    changes = [explanation.boundary[:, j] != explanation.rows[:, j] for j in (1, 4)]
    r = np.linalg.norm((there - points)[:, ~detector.encoder_.is_code_], axis=1)
    expected = np.sqrt(r**2 + np.sum(changes, axis=0) * CATEGORY_DISTANCE**2)
    np.testing.assert_allclose(explanation.distance, expected, rtol=1e-9)
    assert np.all(explanation.radius <= explanation.distance)
    np.testing.assert_array_equal(explanation.radius, detector.certified_radius(ODD))


def test_an_unseen_category_is_what_the_verdict_hangs_on(explanation):
    names = np.array(explanation.feature_names)
    np.testing.assert_array_equal(names, FRAME.columns)
    for row, changed in ((4, {"proto"}), (5, {"proto", "flag"})):
        assert not explanation.normal[row]
        assert set(names[explanation.shares[row] > 0.01]) == changed
    assert "proto gre -> " in explanation.sentences()[4]
    np.testing.assert_allclose(explanation.shares.sum(axis=1), 1.0)


def test_features_that_did_not_change_keep_their_values(explanation):
    frame = explanation.to_frame(top=5)
    unchanged = explanation.shares == 0.0
    assert unchanged.any()
    np.testing.assert_array_equal(explanation.boundary[unchanged], explanation.rows[unchanged])
    assert set(frame.columns) >= {"value", "flip_value"}


def test_radii_of_columns(detector, explanation):
    is_category = np.array([False, True, False, False, True])
    certified = explanation.radius > CATEGORY_DISTANCE
    assert certified.any() and not certified.all()
    expected = np.where(certified, np.inf, 0.0)
    for column in np.flatnonzero(is_category):
        np.testing.assert_array_equal(explanation.feature_radii[:, column], expected)
    # A number that moves by less than its radius flips nothing.
    moved = ODD.assign(load=ODD["load"] + 0.999 * explanation.feature_radii[:, 3])
    np.testing.assert_array_equal(detector.predict(moved), detector.predict(ODD))


def test_missing_values_stay_missing():
    frame = FRAME.copy()
    frame.loc[::9, "load"], frame.loc[::7, "proto"] = np.nan, None
    detector = OCSDF(missing="indicate", hidden_layer_sizes=(8, 8), epochs=1, random_state=0).fit(
        frame
    )
    rows = ODD.copy()
    rows.loc[[0, 7], "load"] = np.nan
    rows.loc[[1, 6], "proto"] = None
    explanation = detector.explain(rows)
    missing = rows.isna().to_numpy()
    assert all(value is None for value in explanation.rows[missing])
    found = missing & explanation.converged[:, None]
    assert found.any() and all(value is None for value in explanation.boundary[found])
    assert np.all(explanation.shares[missing] == 0.0)
    np.testing.assert_array_equal(np.isnan(explanation.feature_radii), missing)


def test_no_rows_one_row_and_a_picture(detector, explanation):
    assert len(detector.explain(ODD).take(4).radius) == 1
    display = ExplanationDisplay.from_explanation(explanation, row=4)
    assert display.labels[0].startswith("proto: gre → ")
    assert ExplanationDisplay.from_explanation(explanation, row=7).labels[0].startswith("when: 20")


def test_the_shorter_of_moves_and_swaps_wins(detector):
    points = detector._checked_points(ODD)[:]
    encoder = detector.encoder_
    codes = [
        (at.start, len(column.categories) + 1)
        for column, at in zip(encoder.columns_, encoder.places_, strict=True)
        if column.kind == "category"
    ]
    units = detector.mean_, detector.scale_, detector.stretch_
    settings = {"is_held": encoder.is_code_, "codes": codes}
    both = boundary_by_swaps(detector._network, points, 0.0, units, **settings)
    held = boundary_by_swaps(detector._network, points, 0.0, units, **settings | {"codes": []})
    assert np.all(both.distance <= held.distance)
    codes_moved = np.abs(held.points - points)[:, encoder.is_code_]
    assert np.nanmax(codes_moved, initial=0.0) == 0.0
    swapped = both.points[:, encoder.is_code_]
    assert set(np.unique(swapped[~np.isnan(swapped)])) <= {0.0, 1.0}
