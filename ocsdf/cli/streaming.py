"""Scores of tables of any size, written a whole part at a time."""

import json
from contextlib import contextmanager
from pathlib import Path

import typer

from ocsdf._version import __version__
from ocsdf.cli.batches import followed, open_batches
from ocsdf.cli.console import progress_bar, warnings_told
from ocsdf.cli.loading import known_columns

PART_ROWS = 2**16


class Totals:
    """What is said of rows that were scored a part at a time."""

    def __init__(self, detector):
        from ocsdf.data.summaries import RowSummary

        self.n_rows = self.n_anomalies = 0
        self._detector, self._summary = detector, RowSummary(0)

    def add(self, features, scores):
        """Count a part."""
        from ocsdf.sklearn_compat.drift import SCORE

        self.n_rows += len(scores)
        self.n_anomalies += int((scores["verdict"] == "anomaly").sum())
        self._summary.update(features.assign(**{SCORE: scores["score"].to_numpy()}))

    def drift(self):
        """Compare all rows with those of training; None where the detector kept none."""
        from ocsdf.sklearn_compat.drift import drift_of_summary, has_reference

        grouped = hasattr(self._detector, "segments_")
        if grouped or not self.n_rows or not has_reference(self._detector):
            return None
        return drift_of_summary(self._detector, self._summary)


def drift_facts(drift):
    """What a summary says of a drift."""
    if drift is None:
        return {}
    facts = {**drift.scores._asdict(), "drifted": drift.drifted, "sentence": drift.sentence()}
    return {"drift": facts}


def open_for_model(estimator, data, label, reading, keep=()):
    """Open a table for a model that may know its columns by name."""
    dropped = reading["drop"] if label is None else (*reading["drop"], label)
    reading = reading | {"drop": dropped} | known_columns(estimator)
    batches, _ = open_batches(data, reading, keep=keep)
    return batches


def stream_scores(estimator, model, batches, output, keep, reasons):
    """Score a table a part at a time, and write each part as it comes.

    The totals are returned; without an output, parts are printed as CSV.
    """
    totals, first_row = Totals(estimator), 0
    with (
        _sink(model, batches, output, keep, reasons) as (parts, write),
        progress_bar("scoring") as bar,
        warnings_told(),
    ):
        for place, frame in enumerate(followed(bar, batches, _parts_of(batches))):
            if parts is not None and place < parts.done:
                scores = parts.read(place)
                if len(scores) != len(frame):
                    raise ValueError(f"part {place} in {output} is damaged: remove the folder")
            else:
                scores = _scored(estimator, frame, first_row, keep, reasons)
                write(scores)
            first_row += len(frame)
            totals.add(frame[batches.features], scores)
    return totals


def _parts_of(batches):
    from ocsdf.data.batches import rebatched

    return rebatched((frame for frame, _ in batches), PART_ROWS)


def _scored(estimator, frame, first_row, keep, reasons):
    from ocsdf.sklearn_compat import score_frame

    rows = frame.drop(columns=list(keep))
    if not hasattr(estimator, "feature_names_in_"):
        rows = rows.to_numpy()
    scores = score_frame(estimator, rows, reasons=reasons)
    for place, name in enumerate(keep):
        scores.insert(place, name, frame[name].to_numpy())
    scores.insert(0, "row", range(first_row, first_row + len(frame)))
    return scores


@contextmanager
def _sink(model, batches, output, keep, reasons):
    """Where parts go: their folder, None for the standard output; and what takes a frame."""
    from ocsdf.utils.parts import SUFFIXES, Parts, content_hash, csv_lines, fingerprint

    if output is None:
        first = [True]

        def write(frame):
            typer.echo(csv_lines(frame, header=first[0]), nl=False)
            first[0] = False

        yield None, write
        return
    plan = {
        "model": content_hash(model),
        "files": fingerprint(batches.files),
        "features": batches.features,
        "keep": list(keep),
        "reasons": reasons,
        "rows_a_part": PART_ROWS,
        "version": __version__,
    }
    as_folder = output.is_dir() or not output.suffix
    folder = output if as_folder else Path(f"{output}.parts")
    suffix = output.suffix.lower() if output.suffix.lower() in SUFFIXES else ".csv"
    parts = Parts(folder, ".parquet" if as_folder else suffix, plan)
    if parts.done:
        typer.echo(f"going on after {parts.done * PART_ROWS:,} rows in {folder}", err=True)
    yield parts, parts.write
    if not as_folder:
        parts.join(output)


def write_summary(summary, output):
    """Leave the summary beside the parts of a folder."""
    from ocsdf.utils.files import write_whole

    if output is not None and output.is_dir():
        write_whole(output / "_summary.json", json.dumps(summary, indent=2) + "\n")
