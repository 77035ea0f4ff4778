"""Tables by name or file, with labels as 0 and 1.

Labels leave this module as 0 (normal) and 1 (anomaly), or as None. Values of X are not judged
here: NaN and infinities are for the estimator to report.
"""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ocsdf.data.delimited import STDIN
from ocsdf.data.downloads import data_home, fetch_table, registered_stem
from ocsdf.data.features import Reading, choose_features, listed, warn_of_identifiers
from ocsdf.data.mixed import warn_of_columns
from ocsdf.data.readers import EXPECTED, read_table, table_name

# Which classes of scikit-learn's embedded sets are the anomalies.
_EMBEDDED_ANOMALIES = {
    "breast_cancer": ("malignant",),
    "wine": ("class_2",),
    "digits": tuple(range(1, 10)),
}
EMBEDDED = tuple(_EMBEDDED_ANOMALIES)


class Table(NamedTuple):
    """A table of dense numbers, or of columns of any kind.

    Attributes
    ----------
    X : ndarray of shape (n, d), float64, or pandas.DataFrame
        Rows; may hold NaN or infinities. A data frame where columns are no numbers, which is asked
        for by ``mixed=True``.
    y : ndarray of shape (n,), int64, or None
        1 for an anomaly, 0 for a normal row; None without a label.
    feature_names : list of str
        The d column names.
    name : str
        Name of the embedded set, or the file's name without its suffix.
    n_train : int or None, default=None
        How many of the first rows the file gives to fit on; the others are to be judged. None
        where it tells no split.

    Examples
    --------
    >>> from ocsdf import load_table
    >>> table = load_table("breast_cancer")
    >>> table.name, table.X.shape, int(table.y.sum()), table.n_train
    ('breast_cancer', (569, 30), 212, None)
    """

    X: np.ndarray
    y: np.ndarray | None
    feature_names: list
    name: str
    n_train: int | None = None


def load_table(
    source: str | Path,
    label: str | None = None,
    anomaly: Any = None,
    *,
    both: bool = True,
    **reading: Any,
) -> Table:
    """Load a table from scikit-learn, from a file, or from the data home.

    Parameters
    ----------
    source : str or Path
        One of

        - an embedded data set of scikit-learn: ``"breast_cancer"`` (malignant is the anomaly),
          ``"wine"`` (class_2 is the anomaly) or ``"digits"`` (0 is normal, the nine other digits
          are anomalies: one class against the rest);
        - a path to a .csv, .tsv or .txt file (also compressed, .csv.gz), or "-" for text from
          the standard input; to a .parquet, .npz or .mat file;
        - the bare name of a table in the data home, ``$OCSDF_DATA_HOME/adbench/<stem>.npz``:
          the stem itself, or what follows the first part of one stem, as ``"thyroid"`` for
          ``38_thyroid``. Embedded names win. One of ADBench's tables that is not there is
          downloaded (:func:`ocsdf.data.downloads.fetch_table`).
    label : str, optional
        CSV and Parquet: the column of labels, which is taken out of X; without it y is None.
        .npz and .mat: ``"y"`` or None, which both mean the array y; with None it may be absent.
        Embedded sets carry their own label.
    anomaly : object, optional
        The value of the label that means anomaly, 1 by default if the label holds only 0 and 1.
        All other values are normal. It may be text, as from a command line: it is compared as
        a number with numeric labels ("2.0" is 2, "true" is True) and as text with others.
    both : bool, default=True
        Whether there must be normal rows and anomalies; False also takes normal rows only.
    **reading
        ``sep``, ``decimal``, ``encoding``, ``header``, ``drop``, ``features`` and ``mixed``: see
        :class:`ocsdf.data.Reading`.

    Returns
    -------
    table : Table
        X (n, d) float64, y (n,) int64 or None, feature names (x0, x1, ... for arrays), name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the source cannot be read, is empty or of an unknown kind, a feature is not numeric,
        the label is missing, incomplete, has one class only or lacks the value `anomaly`, or a
        download fails or has not the checksum it should have.
    TypeError
        If `source` is neither text nor a path.
    ImportError
        If a Parquet file is given and pyarrow is not installed.

    Warns
    -----
    UserWarning
        Where a saved index is left out, a feature looks like the number of a row, names look like
        data, or three or more labels become two.

    Examples
    --------
    >>> from ocsdf import load_table
    >>> table = load_table("wine")
    >>> table.X.shape, int(table.y.sum()), table.feature_names[:2]
    ((178, 13), 48, ['alcohol', 'malic_acid'])
    """
    path, reading = _locate(source), _reading(**reading)
    if path is None:
        return _load_embedded(source, label, anomaly, reading)
    X, labels, feature_names = read_table(path, label, reading)
    if labels is None and anomaly is not None:
        raise ValueError(
            f"the anomaly {anomaly!r} was given but no label: name its column in {path}"
        )
    what = f"label {label or 'y'!r} of {path}"
    y = None if labels is None else _encode(labels, anomaly, what, both)
    if isinstance(X, np.ndarray):
        warn_of_identifiers(X, feature_names)
    else:
        warn_of_columns(X)
    return Table(X, y, feature_names, table_name(path))


def load_features(source: str | Path, **reading: Any) -> Table:
    """Load a table to be scored: its labels, if it has any, are neither read nor needed.

    Parameters
    ----------
    source : str or Path
        As for :func:`load_table`; the array y of a .npz or .mat file is left out.
    **reading
        As for :func:`load_table`.

    Returns
    -------
    table : Table
        With y None.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError, ImportError
        As :func:`load_table`.

    Examples
    --------
    >>> import pandas as pd
    >>> from ocsdf.data import load_features
    >>> rows = pd.DataFrame({"amount": [1.5, 2.5], "hour": [3, 4]})
    >>> rows.to_csv("rows.csv", sep=";", decimal=",", index=False)
    >>> table = load_features("rows.csv")
    >>> table.X.tolist(), table.y is None
    ([[1.5, 3.0], [2.5, 4.0]], True)
    """
    path, reading = _locate(source), _reading(**reading)
    if path is None:
        return _load_embedded(source, None, None, reading)._replace(y=None)
    X, _, feature_names = read_table(path, reading=reading)
    return Table(X, None, feature_names, table_name(path))


def _reading(**reading):
    """Make a Reading of keyword arguments; one column's name may stand without a list."""
    for name in ("drop", "features"):
        if isinstance(reading.get(name), str):
            reading[name] = (reading[name],)
    reading["drop"] = reading.get("drop") or ()
    return Reading(**reading)


def _locate(source):
    """Return the file that a source means, None for an embedded set."""
    if not isinstance(source, str | Path):
        raise TypeError(f"source must be a name or a path, got {type(source).__name__}")
    if source in EMBEDDED:
        return None
    path = Path(source).expanduser()
    is_name = isinstance(source, str) and source == path.name and not path.suffix
    if is_name and source != STDIN:
        return _find_in_data_home(source)
    return path


def _load_embedded(name, label, anomaly, reading):
    from sklearn import datasets

    if label is not None:
        raise ValueError(f"{name!r} carries its own label: leave the label {label!r} out")
    bunch = getattr(datasets, f"load_{name}")()
    classes = bunch.target_names[bunch.target]
    if anomaly is None:
        y = np.isin(classes, _EMBEDDED_ANOMALIES[name]).astype(np.int64)
    else:
        y = _encode(classes, anomaly, f"label of {name!r}")
    names = [str(feature) for feature in bunch.feature_names]
    features = choose_features(names, reading)
    X = bunch.data.astype(np.float64)[:, [names.index(feature) for feature in features]]
    return Table(X, y, features, name)


def _find_in_data_home(name):
    """Return the path of the one table that a bare name means."""
    home = data_home()
    paths = sorted(home.glob("adbench/*.npz")) if home else []
    found = [path for path in paths if path.stem == name] or [
        path for path in paths if path.stem.endswith(f"_{name}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        stems = listed(path.stem for path in found)
        raise ValueError(f"{name!r} may be any of {stems} in {home / 'adbench'}: give one in full")
    place = home / "adbench" if home else "$OCSDF_DATA_HOME/adbench (OCSDF_DATA_HOME is not set)"
    missing = (
        f"no table is named {name!r}: expected an embedded set ({listed(EMBEDDED)}), a path "
        f"that ends in {', '.join(EXPECTED)}, or the name of a .npz table in {place}"
    )
    stem = registered_stem(name)
    if stem is None:
        raise ValueError(missing)
    try:
        return fetch_table(stem)
    except (ImportError, OSError) as error:
        raise ValueError(f"{missing}; {error}") from error


def _encode(labels, anomaly, what, both=True):
    """Return labels as int64: 1 where they equal `anomaly`, 0 elsewhere."""
    import pandas as pd

    # Categories, nullable integers and boxed booleans become plain columns.
    labels = np.asarray(labels)
    # pandas compares none of another processor's byte order.
    labels = labels.astype(labels.dtype.newbyteorder("="), copy=False)
    labels = pd.Series(labels).infer_objects()
    n_missing = int(labels.isna().sum())
    if n_missing:
        raise ValueError(f"{what} is missing (NaN) in {n_missing} rows: fill or drop them")
    values = labels.unique().tolist()
    if both and len(values) < 2:
        raise ValueError(f"{what} has one class only, {values[0]!r}: normal and anomaly are needed")
    if anomaly is None:
        if any(value not in (0, 1) for value in values):
            hint = " (-1, where they are as scikit-learn writes them)" if -1 in values else ""
            raise ValueError(
                f"{what} is not 0/1: say which of its values is the anomaly{hint}, on the command "
                f"line with --anomaly, {listed(values)}"
            )
        anomaly = 1
    is_anomaly = equals_anomaly(labels, anomaly)
    if not is_anomaly.any() and (both or len(values) > 1):
        raise ValueError(
            f"{what} never is {anomaly!r}, the anomaly; its values are {listed(values)}"
        )
    if is_anomaly.all():
        raise ValueError(
            f"{what} is {values[0]!r}, the anomaly, in every row: normal ones are needed"
        )
    if len(values) > 2:
        normal = [value for value in values if not is_anomaly[labels == value].any()]
        warnings.warn(
            f"{what} has {len(values)} values: {listed(normal)} count as normal", stacklevel=3
        )
    return is_anomaly.astype(np.int64)


def equals_anomaly(labels, anomaly):
    """Tell which labels are an anomaly's: as numbers where they are numbers, else as text."""
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(labels):
        return labels.to_numpy(dtype=np.float64) == _as_number(anomaly)
    return (labels.astype(str) == str(anomaly)).to_numpy()


def _as_number(value):
    """Return the number that a value or its text means, NaN if none."""
    text = str(value).strip().lower()
    try:
        return float({"true": "1", "false": "0"}.get(text, text))
    except ValueError:
        return np.nan
