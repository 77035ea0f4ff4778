"""Table rows to a fitted detector, with a progress bar and warnings on stderr."""

from ocsdf.cli.console import epoch_callback, load_estimator, progress_bar, warnings_told


def frame(table, rows):
    """Return rows as a data frame, so that the model remembers and checks feature names."""
    import pandas as pd

    return pd.DataFrame(table.X[rows], columns=list(table.feature_names))


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


def _margin(text):
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--margin must be 'auto' or a number > 0; got {text!r}") from None
