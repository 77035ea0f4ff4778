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
        table = load_table(data, label=label, anomaly=anomaly, both=both, mixed=True, **reading)
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
    numeric = all(dtype.kind in "biuf" for dtype in rows.dtypes)
    X = rows.to_numpy(dtype=np.float64) if numeric else rows
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
    if names is None:
        return {}
    # Of a folder of models the one of all rows, and the detector in a calibrated one.
    inner = getattr(estimator, "common_", estimator)
    encoder = getattr(getattr(inner, "estimator_", inner), "encoder_", None)
    columns = () if encoder is None else encoder.columns_
    text = tuple(column.name for column in columns if column.kind == "category")
    return {"model_features": tuple(map(str, names)), "text": text}


def load_rows(estimator, data, label, reading):
    """Load rows for a model; return them, and the table's name."""
    from ocsdf.data.tables import load_features

    known = known_columns(estimator)
    dropped = reading["drop"] if label is None else (*reading["drop"], label)
    with warnings_told():
        table = load_features(data, mixed=True, **reading | {"drop": dropped} | known)
    return (frame(table, slice(None)) if known else table.X), table.name


def frame(table, rows):
    """Return rows as a data frame, so that the model remembers and checks feature names."""
    import pandas as pd

    if isinstance(table.X, pd.DataFrame):
        return table.X.iloc[rows]
    return pd.DataFrame(table.X[rows], columns=list(table.feature_names))


def refuse_mixed(table, needing):
    """Refuse options that are for numbers where a table has other columns."""
    if hasattr(table.X, "iloc"):
        for option, asked in needing.items():
            if asked:
                raise ValueError(
                    f"{option} is for tables of numbers, and {table.name} has columns of text or "
                    "dates: leave them out with --drop"
                )


def kinds_of_columns(estimator):
    """Return the names of the columns that are no numbers, by what they are taken for."""
    kinds = {"categories": [], "dates": []}
    for column in () if estimator.encoder_ is None else estimator.encoder_.columns_:
        if column.kind != "number":
            kinds["dates" if column.kind == "date" else "categories"].append(column.name)
    return {kind: names for kind, names in kinds.items() if names}
