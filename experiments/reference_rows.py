"""How many training rows are worth keeping as references: accuracy against speed of scoring.

Tables of OddBench with more training rows than are kept, one seed each; seconds are of rows in 20
features beside IsolationForest's on the same rows, in one run.

    python -m experiments.reference_rows
"""

import time
from unittest import mock

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from experiments.common.command import as_table, make_parser, page, write_text
from experiments.common.results import do_cells
from experiments.oddbench import halves, odd_tables
from ocsdf import OCSDF
from ocsdf.data.splits import fixed_split
from ocsdf.recipes import tables as recipe

COUNTS = (500, 1000, 2000, 3000, 4000, 5000, 8000)
_FEWEST, _RUNS = 2500, 5


def judge(references):
    """Fit and judge the chosen half's large tables, and time the scoring of 10^5 rows."""
    with mock.patch.object(recipe, "MOST_REFERENCES", references):
        names = halves(table.name for table in odd_tables())[0]
        found = [
            _judge_table(table)
            for table in odd_tables()
            if table.name in names and table.n_train >= _FEWEST
        ]
        ratio = _time()
    means = np.mean(found, axis=0)
    keys = ("auroc", "certified_0.2", "certified_0.5")
    facts = dict(zip(keys, map(float, means), strict=True))
    return {"tables": len(found), **facts, "seconds_over_iforest": ratio}


def _judge_table(table):
    parts = fixed_split(table.y, table.n_train)
    detector = OCSDF(random_state=0).fit(table.X[parts.train_rows])
    X, y = table.X[parts.test_rows], table.y[parts.test_rows]
    certified = detector.certified_auroc(X, y, radii=[0.2, 0.5], pos_label=1)
    return 100.0 * np.array([roc_auc_score(y, -detector.score_samples(X)), *certified])


def _time():
    rng = np.random.default_rng(0)
    X, rows = rng.normal(size=(10_000, 20)), rng.normal(size=(100_000, 20))
    ours, forest = OCSDF(random_state=0).fit(X), IsolationForest(random_state=0).fit(X)
    seconds = np.empty((_RUNS, 2))
    for run in range(_RUNS):
        for place, detector in enumerate((ours, forest)):
            start = time.perf_counter()
            detector.score_samples(rows)
            seconds[run, place] = time.perf_counter() - start
    return float(np.median(seconds[:, 0] / seconds[:, 1]))


def describe(rows):
    """Write the rows as Markdown."""
    return page(
        "Training rows that are kept as references",
        f"{rows['tables'].iloc[0]} tables of OddBench's chosen half with at least {_FEWEST:,} "
        "training rows, at most 5,000, one seed; AUROC and certified AUROC in percent. Seconds "
        "to score 10^5 rows of 20 features over IsolationForest's, median of "
        f"{_RUNS} runs.\n",
        as_table(rows.drop(columns="tables", errors="ignore"), ".2f"),
    )


def main():
    """Judge the counts that have no row yet, and write the table."""
    arguments = make_parser(__doc__).parse_args()
    rows = do_cells([{"references": n} for n in COUNTS], judge, arguments, "reference_rows")
    write_text(describe(rows), arguments.output, "reference_rows")


if __name__ == "__main__":
    main()
