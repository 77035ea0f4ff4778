"""The paper's algorithm on its own tables (OCSDF Tables 2 and 5, App. G).

Settings of App. G: 40 epochs of which 5 with uniform negatives, RMSprop, batch 128, T = 4,
lambda = 100, FullSort. The margin is the best of the paper's four by test AUROC: an oracle margin,
as in the paper. Protocol "ad" trains and scores on all rows (Table 2); "oc" trains on half of the
normal rows and scores the rest and all anomalies (Table 5).

Run ``python -m experiments.paper_tables --help`` with OCSDF_DATA_HOME set.
"""

import time

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from experiments.common.command import make_parser, run_experiment
from ocsdf.data.splits import split_one_class
from ocsdf.data.tables import load_table

MARGINS = (0.05, 0.2, 0.01, 1.0)
PAPER = {
    "ad": {
        "thyroid": 95.9,
        "cardio": 95.0,
        "satimage-2": 97.9,
        "musk": 92.6,
        "mammography": 86.0,
    },
    "oc": {
        "thyroid": 98.3,
        "vowels": 96.1,
        "satimage-2": 97.8,
        "arrhythmia": 80.0,
        "mammography": 88.0,
    },
}
# (width, seed): one network of the paper's width, three of a quarter of it.
NETWORKS = {
    "smoke": [(32, 0)],
    "cpu": [(128, 0), (128, 1), (128, 2), (512, 0)],
    "paper": [(512, seed) for seed in range(20)],
}
# Forty passes over vowels' 703 training rows are 240 updates, too few; the authors' training loop
# counts an epoch as a number of updates, which the paper does not give. As many updates as 96 a
# pass would make, marked by their epochs.
LONGER = {("oc", "vowels"): 640}
_SLOPE_PAIRS = 100_000


def main():
    arguments = make_parser(__doc__, NETWORKS).parse_args()
    cells = [
        {"protocol": protocol, "table": table, "width": width, "seed": seed, "margin": margin}
        for width, seed in NETWORKS[arguments.preset]
        for protocol, tables in PAPER.items()
        for table in tables
        for margin in MARGINS
    ]
    cells += [
        {**cell, "epochs": LONGER[cell["protocol"], cell["table"]]}
        for cell in cells
        if (cell["protocol"], cell["table"]) in LONGER and cell["width"] == 128
    ]
    if arguments.preset == "smoke":
        cells = [{**cell, "max_steps": 20} for cell in cells if cell["margin"] == 0.05]
    name = f"paper_tables_{arguments.preset}"
    run_experiment(cells, fit_and_judge, arguments, name, describe, cells)


def fit_and_judge(protocol, table, width, seed, margin, max_steps=None, epochs=40):
    """Fit the paper's algorithm on one table; return AUROC and what the certificate rests on."""
    from ocsdf import OCSDF

    X, y, *_ = load_table(table)
    train, test = np.arange(len(y)), np.arange(len(y))
    if protocol == "oc":
        train, test = split_one_class(y, seed)
    detector = OCSDF(
        method="paper",
        margin=margin,
        hidden_layer_sizes=(width,) * 4,
        max_steps=max_steps,
        epochs=epochs,
        uniform_epochs=epochs // 8,
        random_state=seed,
    )
    start = time.perf_counter()
    detector.fit(X[train])
    seconds = time.perf_counter() - start
    scores = detector.score_samples(X[test])
    certified = detector.certified_auroc(X[test], y[test], [0.1, 0.5])
    row = {
        "auroc": 100.0 * roc_auc_score(y[test], -scores),
        "certified_auroc_0.1": 100.0 * certified[0],
        "certified_auroc_0.5": 100.0 * certified[1],
        "lipschitz_bound": detector.lipschitz_bound_,
        "gradient_norm": detector.history_["gradient_norm"][-1],
        "score_std": float(scores.std()),
        "fit_seconds": seconds,
    }
    if seed == 0 and margin == 0.05:
        row |= check_slopes(detector, X[train], np.random.default_rng(seed))
    return row


def check_slopes(detector, X, random_state):
    """Try the bound on pairs of points, half random and half along the gradient.

    Returns the largest slope met and the number of pairs whose difference is above
    ``lipschitz_bound_`` times their distance by more than float64 rounding explains.
    """
    import tensorflow as tf

    from ocsdf.certificate.network import CertifiedNetwork

    network = CertifiedNetwork.from_keras(detector.model_)
    half = _SLOPE_PAIRS // 2
    points = (
        X[random_state.integers(len(X), size=_SLOPE_PAIRS)] - detector.mean_
    ) / detector.scale_
    points += random_state.normal(size=points.shape)
    steps = random_state.normal(size=points.shape)
    for start in range(half, _SLOPE_PAIRS, 10_000):
        chunk = tf.constant(points[start : start + 10_000], dtype=tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(chunk)
            scores = detector.model_(chunk)
        steps[start : start + 10_000] = tape.gradient(scores, chunk)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True) + 1e-12
    steps *= 10.0 ** random_state.uniform(-2, 1, size=(_SLOPE_PAIRS, 1))
    others = points + steps
    distance = np.linalg.norm(others - points, axis=1)
    difference = np.abs(network.score(others) - network.score(points))
    rounding = network.rounding_error(points) + network.rounding_error(others)
    return {
        "largest_slope": float((difference / distance).max()),
        "slope_violations": int(
            np.sum(difference > detector.lipschitz_bound_ * distance + rounding)
        ),
    }


def describe(rows, cells):
    """Write the table as Markdown, with what was not run."""
    text = (
        "AUROC in percent at the margin that is best by test AUROC: an oracle, as in the paper. "
        f"Of the {len(cells)} cells of this table {len(cells) - len(rows)} never ran."
    )
    if (rows["width"] == 512).any():
        text += (
            " At width 512 it was mostly the margins that were best by test AUROC at width 128 "
            "that ran: the answer chose what was tried there."
        )
    if "epochs" in rows and rows["epochs"].notna().any():
        text += (
            " vowels alone was also run with 640 epochs in the place of 40, as 40 passes over its "
            "703 rows are 240 updates; no other table got more."
        )
    return f"{text}\n\n{summarize(rows).to_markdown(index=False)}\n"


def summarize(rows):
    """Per table, width and epochs: the paper's AUROC and ours at the oracle margin, over seeds."""
    rows = rows.assign(
        epochs=rows.get("epochs", pd.Series(index=rows.index)).fillna(40).astype(int)
    )
    keys = ["protocol", "table", "width", "epochs"]
    means = rows.groupby([*keys, "margin"])["auroc"].agg(["mean", "std", "count"]).reset_index()
    best = means.loc[means.groupby(keys)["mean"].idxmax()]
    best.insert(4, "paper", [PAPER[p][t] for p, t in zip(best.protocol, best.table, strict=True)])
    best["margins tried"] = means.groupby(keys).size().to_numpy()
    names = {"margin": "oracle margin", "mean": "AUROC (oracle)", "count": "seeds"}
    return best.rename(columns=names).round({"AUROC (oracle)": 1, "std": 1})


if __name__ == "__main__":
    main()
