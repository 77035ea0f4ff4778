"""Detectors on tables: every cell of tables x detectors x seeds x protocols is one row.

Labels choose the rows (the splits are stratified by them) and judge the scores; the process that
fits a detector is given no label before it has scored.
"""

import hashlib
import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ocsdf.benchmark.child_process import Children
from ocsdf.benchmark.detectors import find_detector, parameters_of, versions
from ocsdf.benchmark.evaluate import CERTIFIED, CERTIFIED_RADII, evaluate_detector
from ocsdf.benchmark.store import run_cells
from ocsdf.data.downloads import data_home
from ocsdf.data.splits import CONTAMINATIONS, check_protocol, fixed_split, reduce_rows, split
from ocsdf.data.tables import Table, load_table

STORE = "cells.sqlite"
_COLUMNS = [
    *("protocol", "table", "detector", "seed", "contamination", "rows"),
    *("auroc", "aupr", "fpr95", *map(CERTIFIED.format, CERTIFIED_RADII)),
    *("n_train", "n_train_anomalies", "n_test", "n_anomalies", "n_features"),
    *("fit_seconds", "score_seconds", "peak_mb"),
    *("transductive", "leaks", "warnings", "error", "timed_out"),
    *("split", "table_hash", "parameters_hash", "versions"),
]
# What a cell's key holds so that no other table, setting or version is taken for it.
_PROVENANCE = ("table_hash", "parameters_hash", "versions")


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
    as it is done, in `folder`/cells.sqlite; a later call with the same folder does only what is
    missing and what has failed. A cell over its time limit counts as done until a higher limit is
    given. The key of a cell holds hashes of the table's content and of the detector's parameters,
    and the versions of ocsdf, PyOD and scikit-learn: where one has changed, the cell is done anew.

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
        Some of :data:`ocsdf.data.splits.PROTOCOLS`.
    folder : str or os.PathLike
        Holds cells.sqlite, the :class:`ocsdf.benchmark.store.Store` of the rows.
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
        - ``split``: the first 16 digits of the SHA-256 of the row numbers to fit on and to judge,
          as :func:`split_hash` takes it, so that others can tell whether they have the same ones;
          ``table_hash``, ``parameters_hash`` and ``versions``, what else the row is a result of;
        - ``warnings``: what the detector warned of, once for each place in its code; ``error``,
          empty if all went well; ``timed_out``.

    Raises
    ------
    ValueError
        Before any work, if a table, detector or protocol is unknown, a table has no labels, or
        two tables share a name. Afterwards, if detectors were judged on different rows of a table,
        as another version of NumPy draws them.

    Examples
    --------
    >>> from ocsdf.benchmark import run_benchmark
    >>> rows = run_benchmark(["wine"], ["IForest"], seeds=[0], protocols=["oc"], folder="bench")
    >>> rows[["table", "detector"]].iloc[0].tolist()
    ['wine', 'IForest']
    """
    for protocol in protocols:
        check_protocol(protocol)
    kinds = {name: find_detector(name) for name in detectors}
    sources = _check_tables(tables)
    if "fixed" in protocols:
        for name, source in sources.items():
            if not isinstance(source, Table) or source.n_train is None:
                raise ValueError(
                    f"the protocol 'fixed' needs a table with a split: {name} has none; load it by "
                    "ocsdf.data.load_fixed_split."
                )
    cells = []
    for protocol, name, detector in itertools.product(protocols, sources, kinds):
        key = {"protocol": protocol, "table": name, "detector": detector}
        if (
            all_rows
            and protocol != "fixed"
            and _is_lifted(protocol, sources[name], kinds[detector])
        ):
            key["rows"] = "all"
        made_of = (_table_hash(sources[name]), _hash(parameters_of(detector)), versions())
        key |= dict(zip(_PROVENANCE, made_of, strict=True))
        cells += _cells_of(key, kinds[detector], seeds, contaminations)
    work = _Work(sources, time_limit, n_threads=None if n_jobs == 1 else 1)

    def again(row):
        return not row.get("timed_out", False) or row["time_limit"] < time_limit

    try:
        path = Path(folder) / STORE
        rows = run_cells(cells, work, path, n_jobs, prefer="threads", again=again)
    finally:
        _children(work.n_threads).close()
    rows = pd.DataFrame(rows, columns=_COLUMNS)
    _check_splits(rows)
    return rows


def split_hash(train_rows, test_rows):
    """Hash the row numbers of a split, in its order.

    It is the first 16 hexadecimal digits of the SHA-256 of both parts, each as little-endian 64-bit
    integers and a ``|``.
    """
    parts = (np.asarray(rows).astype("<i8").tobytes() + b"|" for rows in (train_rows, test_rows))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def tables_at_hand():
    """List the tables of the data home.

    The .npz and .mat files in ``$OCSDF_DATA_HOME/adbench``, none if it is not there.
    """
    home = data_home()
    paths = sorted((home / "adbench").glob("*")) if home else []
    return [path for path in paths if path.suffix in (".npz", ".mat")]


class _Work:
    """Does a cell. Pickled, for joblib's other backends, it holds no process."""

    def __init__(self, sources, time_limit, n_threads):
        self.sources, self.time_limit, self.n_threads = sources, time_limit, n_threads

    def __call__(
        self, protocol, table, detector, seed, contamination=None, rows=None, **provenance
    ):
        X, y = _load(self.sources[table])
        is_whole = rows == "all" or protocol == "fixed"
        kept = np.arange(len(y)) if is_whole else reduce_rows(y)
        if protocol == "fixed":
            parts = fixed_split(y, self.sources[table].n_train)
        else:
            parts = split(X[kept], y[kept], protocol, seed, contamination)
        train, test = kept[parts.train_rows], kept[parts.test_rows]
        facts = {
            "n_train": len(train),
            "n_train_anomalies": int(y[train].sum()),
            "n_test": len(test),
            "n_anomalies": int(y[test].sum()),
            "n_features": X.shape[1],
            "transductive": find_detector(detector).transductive,
            "leaks": parts.leaks,
            "split": split_hash(train, test),
        }
        return facts | evaluate_detector(
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
    if key["protocol"] in ("ad", "fixed") and not detector.random:
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


def _check_splits(rows):
    key = ["protocol", "table", "seed", "contamination", "rows"]
    for about, part in rows.dropna(subset="split").groupby(key, dropna=False):
        if part["split"].nunique() > 1:
            told = ", ".join(str(value) for value in about if not pd.isna(value))
            raise ValueError(f"detectors were judged on different rows ({told}): take a new folder")


@cache
def _file_hash(source):
    return _hash(*_load(source))


def _table_hash(source):
    return _hash(source.X, source.y) if isinstance(source, Table) else _file_hash(source)


def _hash(*parts):
    """Hash texts, and arrays by shape and content."""
    digest = hashlib.sha256()
    for part in parts:
        if not isinstance(part, str):
            digest.update(f"{part.shape} {part.dtype}".encode())
        digest.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part))
    return digest.hexdigest()[:16]
