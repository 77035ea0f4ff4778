"""Detectors on tables: every cell of tables x detectors x seeds x protocols is one row.

Labels choose the rows (the splits are stratified by them) and judge the scores; the process that
fits a detector is given no label before it has scored.
"""

import contextlib
import io
import itertools
import random
import threading
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from ocsdf.benchmark.cells import run_cells
from ocsdf.benchmark.child_process import ChildError, Children
from ocsdf.benchmark.detectors import find_detector, fit, is_pyod, score_of
from ocsdf.data.downloads import data_home
from ocsdf.data.splits import CONTAMINATIONS, check_protocol, reduce_rows, split
from ocsdf.data.tables import Table, load_table
from ocsdf.utils.files import write_whole
from ocsdf.utils.rounding import percent_below

CERTIFIED_RADII = (0.1, 0.2, 0.5)
# Protocols that scale all features to [0, 1] for every detector, as ADBench does.
_MINMAX = ("adbench", "clean")

_CERTIFIED = "certified_auroc_{}"
_COLUMNS = [
    *("protocol", "table", "detector", "seed", "contamination", "rows"),
    *("auroc", "aupr", "fpr95", *map(_CERTIFIED.format, CERTIFIED_RADII)),
    *("n_train", "n_train_anomalies", "n_test", "n_anomalies", "n_features"),
    *("fit_seconds", "score_seconds", "peak_mb"),
    *("transductive", "leaks", "warnings", "error", "timed_out"),
]
# Seconds that a detector may take to be imported and compiled.
_LOADING = 300

_files = threading.Lock()
_fitted = {}  # in a child: the detector whose scores are being judged


def run_benchmark(
    tables,
    detectors,
    seeds,
    protocols,
    folder,
    n_jobs=1,
    all_rows=False,
    time_limit=300,
    contaminations=CONTAMINATIONS,
):
    r"""Run detectors on tables; go on where an earlier call was stopped.

    A cell is one detector on one table with one seed under one protocol. Its row is kept as soon
    as it is done, in `folder`/cells; a later call with the same folder does only what is missing
    and what has failed. A cell over its time limit counts as done. Nothing else makes a finished
    cell run again: for a detector whose code has changed take another folder.

    PyOD's detectors get rows standardized by mean and standard deviation of the rows to fit on,
    all others get the rows as they are. Under "adbench" and "clean" all get rows scaled to [0, 1]
    on the rows to fit on instead, as ADBench does. COF and SOD, which can only score rows they
    are fitted on, are fitted on the rows to judge as well, without their labels; except under
    "adbench", where they score the rows to judge among themselves, as ADBench does. Under "ad" a
    PyOD detector's scores are its ``decision_scores_``, and a detector that uses no seed runs with
    the first one only.

    Detectors run in child processes, one for each job, which are kept between cells and end with
    the calling process. With several jobs a child's numerical libraries have one thread each.

    Parameters
    ----------
    tables : sequence of str, Path or Table
        What :func:`ocsdf.load_table` takes, with labels, or labelled tables.
    detectors : sequence of str
        What :func:`ocsdf.benchmark.detectors.find_detector` takes.
    seeds : sequence of int
    protocols : sequence of str
        Of :data:`ocsdf.data.splits.PROTOCOLS`.
    folder : str or os.PathLike
        Holds cells/, one JSON file a cell, and rows/, for each split the row numbers ``train`` and
        ``test`` as the table counts them, from 0, in one .npz file.
    n_jobs : int, default=1
        Cells at a time, through joblib: threads, unless ``joblib.parallel_config`` chooses another
        backend, each of which waits for its child.
    all_rows : bool, default=False
        Tables over 5,000 rows are reduced by :func:`ocsdf.data.splits.reduce_rows`; True lifts that
        for detectors of linear time and, as it has a limit of its own, for all under "adbench".
        Such cells have "all" in the column ``rows``.
    time_limit : float, default=300
        Seconds for fit and scores.
    contaminations : sequence of float, default=(0.0, 0.01, 0.05, 0.1, 0.2)
        Shares of anomalies for the protocol "contaminated".

    Returns
    -------
    rows : DataFrame
        One row a cell: its key (``protocol``, ``table``, ``detector``, ``seed`` and, where they
        apply, ``contamination`` and ``rows``), and

        - ``n_train``, ``n_train_anomalies``, ``n_test``, ``n_anomalies`` (to judge),
          ``n_features``;
        - ``auroc``, ``aupr`` (average precision), ``fpr95`` (false positive rate at a recall of
          at least 95 %), ``certified_auroc_0.1``, ``_0.2``, ``_0.5`` where the detector has a
          bound (both sides attacked, radius in scaled l2), all in percent;
        - ``fit_seconds``, ``score_seconds``; ``peak_mb``, by how many MiB (2^20 bytes) the child's
          resident set rose above what it held before the cell, read every 20 ms; a lower bound,
          as memory that earlier cells left with the child is not counted;
        - ``transductive``: scores depend on the other rows to judge; ``leaks``: copies of rows lie
          on both sides;
        - ``warnings``: what the detector warned of, once for each place in its code; ``error``,
          empty if all went well; ``timed_out``.

    Raises
    ------
    ValueError
        Before any work, if a table, detector or protocol is unknown, a table has no labels, or
        two tables share a name.
    """
    for protocol in protocols:
        check_protocol(protocol)
    found = {name: find_detector(name) for name in detectors}
    sources = _check_tables(tables)
    cells = []
    for protocol, name, detector in itertools.product(protocols, sources, found):
        key = {"protocol": protocol, "table": name, "detector": detector}
        if all_rows and _is_lifted(protocol, sources[name], found[detector]):
            key["rows"] = "all"
        cells += _cells_of(key, found[detector], seeds, contaminations)
    folder = Path(folder)
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    work = _Work(sources, folder / "rows", time_limit, n_threads=None if n_jobs == 1 else 1)
    try:
        rows = run_cells(cells, work, folder / "cells", n_jobs, prefer="threads")
    finally:
        _children(work.n_threads).close()
    return pd.DataFrame(rows, columns=_COLUMNS)


def tables_at_hand():
    """List the tables of the data home.

    Returns
    -------
    paths : list of Path
        Of the .npz and .mat files in ``$OCSDF_DATA_HOME/adbench``; empty if there are none.
    """
    home = data_home()
    paths = sorted((home / "adbench").glob("*")) if home else []
    return [path for path in paths if path.suffix in (".npz", ".mat")]


def judge_scores(y, scores):
    r"""Judge scores by the labels.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 for an anomaly, 0 for a normal row; both occur.
    scores : array-like of shape (n,)
        The higher, the more anomalous.

    Returns
    -------
    metrics : dict
        In percent: ``auroc``; ``aupr``, the average precision
        :math:`\sum_k (R_k - R_{k-1}) P_k` over the thresholds, with precision P and recall R;
        ``fpr95``, the false positive rate at the highest threshold whose recall is at least 95 %.

    Raises
    ------
    ValueError
        If a score is NaN or infinite; the message says how many are.
    """
    scores = np.asarray(scores, dtype=np.float64)
    n_bad = int(np.count_nonzero(~np.isfinite(scores)))
    if n_bad:
        raise ValueError(f"{n_bad} of {len(scores)} scores are NaN or infinite")
    false_positive, true_positive, _ = roc_curve(y, scores, drop_intermediate=False)
    return {
        "auroc": 100 * float(roc_auc_score(y, scores)),
        "aupr": 100 * float(average_precision_score(y, scores)),
        "fpr95": 100 * float(false_positive[np.argmax(true_positive >= 0.95)]),
    }


def judge_detector(
    children, name, X_train, X_test, y_test, *, protocol, radii, seed=0, time_limit=300
):
    """Fit one detector in a child process, without labels, and judge its scores of other rows.

    Parameters
    ----------
    children : Children
        One of them is borrowed.
    name : str
        What :func:`ocsdf.benchmark.detectors.find_detector` takes.
    X_train, X_test : ndarray of shape (n_rows, n_features)
        Rows to fit on, rows to judge. :func:`run_benchmark` tells how they are scaled, and what
        becomes of the rows to judge under each protocol.
    y_test : array-like of shape (n_test,)
        1 for an anomaly, 0 for a normal row.
    protocol : str
        Of :data:`ocsdf.data.splits.PROTOCOLS`.
    radii : sequence of float
        Attack radii to certify, where the detector has a bound. Scaled l2.
    seed : int, default=0
    time_limit : float, default=300
        Seconds for fit and scores.

    Returns
    -------
    found : dict
        As the columns of :func:`run_benchmark` from ``auroc`` to ``peak_mb``, with
        ``certified_auroc_<radius>`` for these radii; and ``warnings``, ``error`` and ``timed_out``
        where there is something to tell.
    """
    found = {}
    with children.one() as child:
        try:
            child.call(_prepare, name, time_limit=_LOADING)
            values, peak = child.call(
                _fit_and_score, name, seed, protocol, X_train, X_test, time_limit=time_limit
            )
            scores = values.pop("scores")
            found |= values | {"peak_mb": peak / 2**20}
            found |= judge_scores(y_test, scores)
            found |= child.call(_certify, X_test, y_test, radii, time_limit=time_limit)[0]
        except TimeoutError as error:
            found |= {"error": str(error), "timed_out": True}
        except (ChildError, ValueError) as error:
            found |= {"error": str(error)}
    return found


class _Work:
    """Does a cell. Pickled, for joblib's other backends, it holds no process."""

    def __init__(self, sources, rows_folder, time_limit, n_threads):
        self.sources, self.rows_folder = sources, rows_folder
        self.time_limit, self.n_threads = time_limit, n_threads

    def __call__(self, protocol, table, detector, seed, contamination=None, rows=None):
        X, y = _load(self.sources[table])
        train, test, leaks = self._split(X, y, protocol, table, seed, contamination, rows)
        flags = find_detector(detector)
        facts = {
            "n_train": len(train),
            "n_train_anomalies": int(y[train].sum()),
            "n_test": len(test),
            "n_anomalies": int(y[test].sum()),
            "n_features": X.shape[1],
            "transductive": flags.transductive,
            "leaks": leaks,
        }
        return facts | judge_detector(
            _children(self.n_threads),
            detector,
            X[train],
            X[test],
            y[test],
            protocol=protocol,
            radii=CERTIFIED_RADII,
            seed=seed,
            time_limit=self.time_limit,
        )

    def _split(self, X, y, protocol, table, seed, contamination, rows):
        """Split, and keep the row numbers beside the results."""
        kept = np.arange(len(y)) if rows == "all" else reduce_rows(y)
        parts = split(X[kept], y[kept], protocol, seed, contamination)
        train, test = kept[parts.train_rows], kept[parts.test_rows]
        about = [table, protocol, seed, contamination, rows]
        name = "-".join(str(part) for part in about if part is not None)
        file = self.rows_folder / f"{name}.npz"
        with _files:
            if not file.exists():
                content = io.BytesIO()
                np.savez_compressed(content, train=train, test=test)
                write_whole(file, content.getvalue())
        with np.load(file) as stored:
            same = [np.array_equal(stored["train"], train), np.array_equal(stored["test"], test)]
            if not all(same):
                raise ValueError(f"the rows in {file} are not this run's: take another folder")
        return train, test, parts.leaks


def _check_tables(tables):
    sources = {}
    for source in tables:
        table = source if isinstance(source, Table) else load_table(source)
        if table.y is None:
            raise ValueError(f"{table.name} has no labels: a benchmark needs them, as array y")
        if table.name in sources:
            raise ValueError(f"two tables are named {table.name!r}: give each once")
        sources[table.name] = source
    return sources


def _is_lifted(protocol, source, detector):
    """Tell whether `all_rows` gives a detector rows that the row rule would leave out."""
    _, y = _load(source)
    return len(reduce_rows(y)) < len(y) and (detector.linear_time or protocol == "adbench")


def _cells_of(key, detector, seeds, contaminations):
    if key["protocol"] == "ad" and not detector.random:
        seeds = seeds[:1]
    if key["protocol"] != "contaminated":
        return [key | {"seed": seed} for seed in seeds]
    shares = itertools.product(contaminations, seeds)
    return [key | {"seed": seed, "contamination": float(share)} for share, seed in shares]


def _load(source):
    table = source if isinstance(source, Table) else _load_once(source)
    return table.X, table.y


_load_once = cache(load_table)


@cache
def _children(n_threads):
    return Children(n_threads)


# What follows runs in a child.


@cache
def _prepare(name):
    """Import and compile what a detector needs, so that no cell's time counts it."""
    X = np.random.default_rng(0).normal(size=(64, 3))
    # What fails or warns here does so in the cell again, where it is told.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(find_detector(name).build(0, X.shape[1], X), X)


def _fit_and_score(name, seed, protocol, X_train, X_test):
    """Fit on rows and score others; no label is in sight."""
    # Some detectors draw from the global generators; nobody else uses them in this process.
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    flags = find_detector(name)
    n_features = X_train.shape[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        # These tell authors of libraries about code, nothing about scores.
        for about_code in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", about_code)
        if protocol in _MINMAX:
            X_train, X_test = _scaled(MinMaxScaler(), X_train, X_test)
        elif is_pyod(flags.build(seed, n_features, X_train)):
            X_train, X_test = _scaled(StandardScaler(), X_train, X_test)
        joint = flags.joint and protocol not in ("ad", "adbench")
        X_fit = np.concatenate([X_train, X_test]) if joint else X_train
        detector = flags.build(seed, n_features, X_fit)
        start = time.perf_counter()
        fit(detector, X_fit)
        fitted = time.perf_counter()
        if joint or (protocol == "ad" and is_pyod(detector)):
            scores = np.asarray(detector.decision_scores_, dtype=np.float64)[-len(X_test) :]
        else:
            scores = score_of(detector, X_test)
        scored = time.perf_counter()
    _fitted["detector"] = detector
    # A place in the code warns many times of the same, with other figures.
    told = {(one.filename, one.lineno): _in_one_line(one) for one in caught}
    values = {"fit_seconds": fitted - start, "score_seconds": scored - fitted, "scores": scores}
    return values | ({"warnings": "; ".join(told.values())} if told else {})


def _in_one_line(warning):
    return f"{warning.category.__name__}: {' '.join(str(warning.message).split())}"


def _scaled(scaler, X_train, X_test):
    return scaler.fit_transform(X_train), scaler.transform(X_test)


def _certify(X, y, radii=CERTIFIED_RADII):
    """Certified AUROC of the detector that has just scored, where it has a bound."""
    detector = _fitted.pop("detector")
    if not hasattr(detector, "certified_auroc"):
        return {}
    bounds = detector.certified_auroc(X, y, radii)
    return {
        _CERTIFIED.format(radius): percent_below(bound)
        for radius, bound in zip(radii, bounds, strict=True)
    }
