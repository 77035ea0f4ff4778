"""Tables in batches on the command line: opened, passed over once, with a bar that moves."""

from ocsdf.cli.console import progress_bar, warnings_told

# The column of labels beside the features in a summary.
_ANOMALY = "\0anomaly"


def open_batches(data, reading, label=None, anomaly=None, keep=()):
    """Open a table; return its batches, and the texts of what its reader warned of."""
    from ocsdf.data.batches import Batches
    from ocsdf.data.features import Reading

    with warnings_told() as told:
        batches = Batches(data, Reading(**reading), label, anomaly, keep)
    return batches, tuple(told)


def summarize_normal(batches, seed, label, missing="error"):
    """Pass over a table once: a sample and the moments of its normal rows; how many were not."""
    from ocsdf.data.summaries import RowSummary
    from ocsdf.sklearn_compat.chunks import check_values

    summary, n_anomalies = RowSummary(seed), 0
    with progress_bar("reading") as bar:
        for frame, anomaly in followed(bar, batches, batches):
            if anomaly is not None:
                frame, n_anomalies = frame[~anomaly], n_anomalies + int(anomaly.sum())
            summary.update(frame)
            check_values(summary, missing == "error")
    if summary.n_seen == 0:
        raise ValueError(f"label {label!r} is the anomaly in every row: normal ones are needed")
    return summary, n_anomalies


def sample_labelled(batches, seed):
    """Pass over a table once: a random sample of its rows as a frame, and which are anomalies."""
    from ocsdf.data.summaries import RowSummary

    summary = RowSummary(seed)
    with progress_bar("reading") as bar:
        for frame, anomaly in followed(bar, batches, batches):
            summary.update(frame if anomaly is None else frame.assign(**{_ANOMALY: anomaly}))
    rows = summary.rows
    anomaly = rows.pop(_ANOMALY).to_numpy() if _ANOMALY in rows else None
    return rows, anomaly, summary.n_seen


def followed(bar, batches, items):
    """Give items made from batches, and move a bar to the share of the bytes that were read."""
    progress, task = bar
    progress.update(task, total=1.0)
    for item in items:
        progress.update(task, completed=batches.done)
        yield item
