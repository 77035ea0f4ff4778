"""What commands read: tables with labels, models, and rows with the columns that a model knows."""

from ocsdf.cli.batches import open_batches, sample_labelled
from ocsdf.cli.console import say, warnings_told


def load_labelled(data, label, anomaly, reading, both=True):
    """Load a table with its labels; return it, and the texts of what its reader warned of.

    A table that is too large to be read whole is sampled at random.
    """
    from ocsdf.data.batches import is_large
    from ocsdf.data.tables import load_table

    if is_large(data):
        return _load_sample(data, label, anomaly, reading)
    with warnings_told() as told:
        table = load_table(data, label=label, anomaly=anomaly, both=both, **reading)
    return table, tuple(told)


def _load_sample(data, label, anomaly, reading):
    """Load a random sample of a large table, and say so."""
    import numpy as np

    from ocsdf.data.readers import table_name
    from ocsdf.data.tables import Table

    batches, told = open_batches(data, reading, label, anomaly)
    rows, is_anomaly, n_seen = sample_labelled(batches, 0)
    y = None if is_anomaly is None else is_anomaly.astype(np.int64)
    note = f"a random sample of {len(rows):,} of {n_seen:,} rows is reported on"
    if len(rows) < n_seen:
        say(f"note: {note}", err=True)
        told = (*told, note)
    X = rows.to_numpy(dtype=np.float64)
    return Table(X, y, batches.features, table_name(data)), told


def load_model(path, calibrated=False):
    """Load a model; return it, and the texts of what its reader warned of."""
    from ocsdf import OCSDF
    from ocsdf.sklearn_compat.loading import load_detector

    with warnings_told() as told:
        estimator = load_detector(path) if calibrated else OCSDF.load(path)
    return estimator, tuple(told)


def known_columns(estimator):
    """Return how a table is read whose columns a model may know by name."""
    names = getattr(estimator, "feature_names_in_", None)
    return {} if names is None else {"model_features": tuple(map(str, names))}


def load_rows(estimator, data, label, reading):
    """Load rows for a model; return them, and the table's name."""
    from ocsdf.data.tables import load_features

    known = known_columns(estimator)
    dropped = reading["drop"] if label is None else (*reading["drop"], label)
    with warnings_told():
        table = load_features(data, **reading | {"drop": dropped} | known)
    return (frame(table, slice(None)) if known else table.X), table.name


def frame(table, rows):
    """Return rows as a data frame, so that the model remembers and checks feature names."""
    import pandas as pd

    return pd.DataFrame(table.X[rows], columns=list(table.feature_names))
