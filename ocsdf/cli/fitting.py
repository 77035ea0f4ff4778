"""Table rows to a fitted detector, with a progress bar and warnings on stderr."""

from ocsdf.cli.console import EpochBar, progress_bar, warnings_told
from ocsdf.cli.loading import frame
from ocsdf.cli.options import Protocol


def fit_rows(table, rows, *how):
    """Fit a detector on rows of a table; see :func:`fit_detector`."""
    return fit_detector(frame(table, rows), *how)


def fit_detector(X, *how):
    """Fit a detector; return it, and the texts of what the fit warned of."""
    with warnings_told() as told, progress_bar("training") as bar:
        estimator = make_detector(*how).set_params(callbacks=[EpochBar(bar)])
        estimator.fit(X)
    estimator.set_params(callbacks=None)
    return estimator, tuple(told)


def make_detector(method, emphasis, margin, contamination, epochs, missing, seed):
    """Make an unfitted detector of what the options say."""
    settings = {"method": method.value, "emphasis": emphasis.value}
    settings |= {"missing": missing.value, "random_state": seed}
    settings |= {"margin": _number_or_auto(margin, "margin", "a number > 0")}
    settings["contamination"] = (
        contamination
        if contamination == "estimate"
        else _number_or_auto(contamination, "contamination", "'estimate' or a share up to 0.5")
    )
    if epochs is not None:
        settings |= {"epochs": epochs, "uniform_epochs": min(5, epochs // 8)}
    from ocsdf import OCSDF

    return OCSDF(**settings)


def _number_or_auto(text, option, what):
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--{option} must be 'auto' or {what}; got {text!r}") from None


def share_out(table, protocol, model, seed):
    """Return the protocol's name, the rows to fit on, and the rows to judge."""
    from ocsdf.data.splits import split_one_class

    if model is not None:
        return "model", slice(0), slice(None)
    if table.y is None:
        return "unlabelled", slice(None), slice(None)
    if protocol is Protocol.AD:
        return "ad", slice(None), slice(None)
    return "oc", *split_one_class(table.y, random_state=seed)
