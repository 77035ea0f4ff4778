"""Files of tables: delimited text, Parquet, NumPy and MATLAB archives, as arrays."""

import warnings
from pathlib import Path

import numpy as np

from ocsdf.data.delimited import STDIN, TEXT_SUFFIXES, is_text, read_delimited
from ocsdf.data.features import (
    AS_IT_IS,
    choose_features,
    listed,
    named_index_as_columns,
    without_saved_index,
)
from ocsdf.data.mixed import read_dates
from ocsdf.utils.exactness import refuse_inexact
from ocsdf.utils.extras import how_to_install

_TEXT = "a CSV file, or other delimited text, with a header row"
EXPECTED = {
    **dict.fromkeys(TEXT_SUFFIXES, _TEXT),
    ".parquet": "a Parquet table",
    ".npz": "a NumPy archive with numeric arrays X and, if labelled, y",
    ".mat": "a MATLAB file (v4 to v7) with numeric arrays X and, if labelled, y",
}


def table_name(source):
    """Return what a table is called: the file's name without its suffixes, or the name it has."""
    path = Path(source)
    if str(source) == STDIN or path.parts[:2] == ("/", "dev"):
        return "stdin"
    stem = path.stem
    return Path(stem).stem if Path(stem).suffix.lower() in EXPECTED else stem


def read_table(path, label=None, reading=AS_IT_IS):
    """Read a table from a file.

    Parameters
    ----------
    path : Path
        Delimited text (.csv, .tsv or .txt, also compressed, .csv.gz; "-", a pipe or a device),
        or a file that ends in .parquet, .npz or .mat.
    label : str, optional
        The column of labels; "y" or None for the array y of .npz and .mat files.
    reading : Reading, optional
        How it is read, and which columns are features.

    Returns
    -------
    X : ndarray of shape (n, d), float64
        A pandas.DataFrame where there are columns of text, categories or dates, and
        ``reading.mixed``.
    labels : array-like of shape (n,) or None
        As they are in the file.
    feature_names : list of str

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As :func:`ocsdf.data.tables.load_table`.

    Examples
    --------
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from ocsdf.data import Reading, read_table
    >>> rows = pd.DataFrame({"id": [7, 8], "amount": [1.5, 2.5], "fraud": ["no", "yes"]})
    >>> rows.to_csv("rows.csv", index=False)
    >>> X, labels, names = read_table(Path("rows.csv"), "fraud", Reading(drop=("id",)))
    >>> X.tolist(), list(labels), names
    ([[1.5], [2.5]], ['no', 'yes'], ['amount'])
    """
    suffix = path.suffix.lower()
    text = is_text(path)
    if not text and suffix not in EXPECTED:
        raise ValueError(
            f"cannot read {path}: its suffix is {path.suffix!r}, not one of {', '.join(EXPECTED)}"
        )
    if not path.exists() and str(path) != STDIN:
        raise FileNotFoundError(f"no file at {path}: check the path")
    readers = {".parquet": _read_parquet, ".npz": _read_npz, ".mat": _read_mat}
    try:
        content = read_delimited(path, reading, label) if text else readers[suffix](path)
    except ImportError:
        raise
    except Exception as error:  # parsers answer damaged files with anything, from zlib to struct
        reason = " ".join(str(error).split()) or type(error).__name__
        expected = _TEXT if text else EXPECTED[suffix]
        raise ValueError(f"cannot read {path}: {reason} (expected {expected})") from error
    convert = _from_arrays if isinstance(content, dict) else _from_frame
    table = convert(content, label, path, reading)
    n_rows, n_features = table[0].shape
    if 0 in (n_rows, n_features):
        raise ValueError(f"{path} is empty: it holds {n_rows} rows of {n_features} features")
    return table


def _read_parquet(path):
    import pandas as pd

    try:
        return pd.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise ImportError(f"reading {path} needs pyarrow: {how_to_install('parquet')}") from error


def _read_npz(path):
    # Not numpy.load: that also takes pickles and single arrays, and its messages speak of them.
    with np.lib.npyio.NpzFile(str(path), allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files if key in ("X", "y")}


def _read_mat(path):
    from scipy.io import loadmat

    try:
        with warnings.catch_warnings():
            # SciPy tells of another class of sparse arrays to come; none is taken here.
            warnings.filterwarnings("ignore", "The default value for `spmatrix`")
            content = loadmat(str(path), appendmat=False, variable_names=("X", "y"))
    except NotImplementedError as error:
        message = "it is MATLAB v7.3 (HDF5); save it again with save(..., '-v7')"
        raise ValueError(message) from error
    return {key: content[key] for key in ("X", "y") if key in content}


def _from_arrays(arrays, label, path, reading):
    if label not in (None, "y"):
        raise ValueError(f"the label of {path} is its array 'y': got {label!r}")
    missing = [key for key in ("X", label or "X") if key not in arrays]
    if missing:
        expected = EXPECTED[path.suffix.lower()]
        raise ValueError(f"{path} holds no array {missing[0]!r} (expected {expected})")
    X = np.asarray(arrays["X"])
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"X in {path} must be a full (not sparse) 2-d array of real numbers, "
            f"got shape {X.shape} and dtype {X.dtype}"
        )
    labels = None
    if "y" in arrays:
        labels = np.asarray(arrays["y"])
        # A column or a row of labels, as MATLAB keeps vectors, is as good as a 1-d array.
        is_vector = labels.size == max(labels.shape, default=0)
        if labels.dtype.kind not in "biufU" or not is_vector or labels.size != len(X):
            raise ValueError(
                f"y in {path} must hold one number or text for each of the {len(X)} rows of X, "
                f"got shape {labels.shape} and dtype {labels.dtype}"
            )
        labels = labels.ravel()
    names = [f"x{i}" for i in range(X.shape[1])]
    reading = reading._replace(drop=[name for name in reading.drop if name != "y"])
    features = choose_features(names, reading)
    X = X[:, [names.index(name) for name in features]]
    refuse_inexact(str(path), X, lambda column: repr(features[column]))
    return np.ascontiguousarray(X, dtype=np.float64), labels, features


def _from_frame(frame, label, path, reading):
    from pandas.api.types import is_complex_dtype, is_numeric_dtype

    frame.columns = [str(column) for column in frame.columns]
    frame = named_index_as_columns(frame, reading, label)
    frame = without_saved_index(frame, reading, label)
    labels = None
    if label is not None:
        if label not in frame.columns:
            columns = listed(frame.columns)
            raise ValueError(f"{path} has no column {label!r} for the label; it has {columns}")
        labels = frame[label]
    frame = frame[choose_features(list(frame.columns), reading, label)]
    odd = [
        column
        for column, dtype in frame.dtypes.items()
        if not is_numeric_dtype(dtype) or is_complex_dtype(dtype)
    ]
    if odd and reading.mixed:
        return read_dates(frame.reset_index(drop=True), reading.text), labels, list(frame.columns)
    if odd and len(frame):  # without rows no column has a kind; read_table calls it empty
        hint = "drop or encode them" if label else "name the label's column, drop or encode others"
        raise ValueError(f"{path} has columns that are not numeric, {listed(odd, 3)}: {hint}")
    for column, dtype in frame.dtypes.items():
        if dtype.kind in "iu":
            values = frame[column].dropna().to_numpy()
            refuse_inexact(str(path), values, lambda _, name=column: repr(name))
    X = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.ascontiguousarray(X), labels, list(frame.columns)
