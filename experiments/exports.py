"""Does the exported graph say what the package says, on every table and in both float types?

Each table of the data home: one fit of the default on normal rows, exported to ONNX and run by
onnxruntime on normal rows and anomalies, beside the package.

    python -m experiments.exports
"""

import numpy as np
import onnxruntime as ort

from experiments.common.command import as_table, page, run_tables
from ocsdf import OCSDF, load_table
from ocsdf.export.detector import detector_graph

TABLES = (
    *("4_breastw", "6_cardio", "14_glass", "16_http", "18_Ionosphere", "21_Lymphography"),
    *("23_mammography", "25_musk", "26_optdigits", "29_Pima", "31_satimage-2", "32_shuttle"),
    *("34_smtp", "38_thyroid", "39_vertebral", "40_vowels", "42_WBC", "45_wine"),
    *("odds_arrhythmia", "odds_wbc"),
)
ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24}
FITTED, JUDGED = 2000, 1000


def compare(table):
    """Export a fit of one table and compare rows; the numbers of one row of the record."""
    data = load_table(table)
    rng = np.random.default_rng(0)
    normal = rng.permutation(np.flatnonzero(data.y == 0))
    half = min(FITTED, len(normal) // 2)
    detector = OCSDF(random_state=0).fit(data.X[normal[:half]])
    rest = np.concatenate([normal[half:][:JUDGED], np.flatnonzero(data.y == 1)[:JUDGED]])
    rows = data.X[np.concatenate([rest, normal[:100]])]
    facts = {"features": data.X.shape[1], "rows": len(rows)}
    for dtype, roundoff in ROUNDOFF.items():
        facts |= _compare(detector, rows.astype(dtype), dtype, roundoff)
    return facts


def _compare(detector, rows, dtype, roundoff):
    network = detector._network
    scaling = detector.mean_, detector.scale_
    model = detector_graph(network, *scaling, detector.offset_, dtype, detector.stretch_)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    score, _, verdict, radius = session.run(None, {"X": rows})
    X = rows.astype(np.float64)
    points = detector._checked_points(X)[:]
    constant, slope = network.network.float_error(roundoff, relative=3.0 * roundoff)
    bound = constant + slope * np.linalg.norm(points, axis=1) + network.rounding_error(points)
    own, differs = detector.score_samples(X), verdict != detector.predict(X)
    near = np.abs(own - detector.offset_) <= bound
    own_radius = detector.certified_radius(X)
    return {
        f"{dtype}_worst": float(np.max(np.abs(score - own) / bound)),
        f"{dtype}_difference": float(np.max(np.abs(score - own))),
        f"{dtype}_ties": int(near.sum()),
        f"{dtype}_verdicts_differ": int(differs.sum()),
        f"{dtype}_differ_outside_slack": int(np.sum(differs & ~near)),
        f"{dtype}_radius_above": int(np.sum(radius > own_radius)),
        f"{dtype}_radius_kept": float(radius.sum() / max(own_radius.sum(), 1e-300)),
    }


def describe(rows):
    """Write the tables' rows as Markdown."""
    columns = ["table", "features", "rows"]
    names = ("worst", "verdicts_differ", "differ_outside_slack", "radius_above", "radius_kept")
    columns += [f"{dtype}_{name}" for dtype in ROUNDOFF for name in names]
    outside = sum(int(rows[f"{dtype}_differ_outside_slack"].sum()) for dtype in ROUNDOFF)
    above = sum(int(rows[f"{dtype}_radius_above"].sum()) for dtype in ROUNDOFF)
    return page(
        "The exported graph beside the package",
        f"{len(rows)} tables, {rows['rows'].sum():,} rows in two float types: {outside} "
        f"verdicts differ outside the float slack, {above} radii of the graph are above the "
        "package's. Worst: the largest difference of scores, as a share of its bound. Kept: "
        "the graph's radii, as a share of the package's.\n",
        as_table(rows[columns], ".4g"),
    )


def main():
    """Compare the tables that have no row yet, and write the table."""
    run_tables(__doc__, TABLES, compare, "exports", describe)


if __name__ == "__main__":
    main()
