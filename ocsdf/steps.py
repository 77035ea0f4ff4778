"""What the commands do with a table, step by step, with progress bars and warnings on stderr."""

from ocsdf.console import epoch_callback, load_estimator, progress_bar, tracked, warnings_told
from ocsdf.options import Protocol


def numbers(text):
    """Read the option --radii."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--radii must be numbers parted by commas; got {text!r}") from None


def frame(table, rows):
    """Return rows as a data frame, so that the model remembers and checks feature names."""
    import pandas as pd

    return pd.DataFrame(table.X[rows], columns=list(table.feature_names))


def share_out(table, protocol, seed):
    """Return the protocol's name, or "unlabelled"; the rows to fit on; and the rows to judge."""
    from ocsdf.data import split_one_class

    if table.y is None:
        return "unlabelled", slice(None), slice(None)
    if protocol is Protocol.AD:
        return "ad", slice(None), slice(None)
    return "oc", *split_one_class(table.y, random_state=seed)


def fit_rows(table, rows, method, margin, epochs, seed):
    """Fit a detector; return it, and the texts of what the fit warned of."""
    settings = {"method": method.value, "margin": _margin(margin), "random_state": seed}
    if epochs is not None:
        settings |= {"epochs": epochs, "uniform_epochs": min(5, epochs // 8)}
    OCSDF = load_estimator()
    with warnings_told() as told, progress_bar("training") as bar:
        estimator = OCSDF(**settings, callbacks=[epoch_callback(bar)])
        estimator.fit(frame(table, rows))
    estimator.set_params(callbacks=None)
    return estimator, tuple(told)


def attack_rows(estimator, X, y, radii, seed):
    """Attack as many of the rows judged as there is time for."""
    from ocsdf.comparison import attack, rows_to_attack

    rows = rows_to_attack(y, seed)
    X, y = X.iloc[rows], y[rows]
    with progress_bar("attacking") as bar:
        return attack(estimator, X, y, radii=radii, random_state=seed, track=tracked(bar))


def compare_with(names, table, fitted, judged, radii, protocol, seed):
    """Fit and judge other detectors on the same rows."""
    from ocsdf.comparison import compare

    rows = (table.X[fitted], table.X[judged], table.y[judged])
    known = {"radii": radii, "protocol": protocol, "random_state": seed}
    with progress_bar("comparing") as bar:
        return compare(names, *rows, **known, track=tracked(bar))


def score_table(model, table):
    """Score a table with a saved model."""
    import numpy as np
    import pandas as pd

    OCSDF, X = load_estimator(), frame(table, slice(None))
    with warnings_told():
        estimator = OCSDF.load(model)
    return pd.DataFrame(
        {
            "row": range(len(X)),
            "score": estimator.score_samples(X),
            "verdict": np.where(estimator.predict(X) == 1, "normal", "anomaly"),
            "certified_radius": estimator.certified_radius(X),
        }
    )


def _margin(text):
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--margin must be 'auto' or a number > 0; got {text!r}") from None
