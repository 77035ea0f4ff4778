"""One model for each value of a column: `ocsdf fit --by`, and `ocsdf report` on their folder."""

from ocsdf.cli.batches import followed, open_batches, sample_labelled
from ocsdf.cli.console import print_json, progress_bar, say, warnings_told
from ocsdf.cli.fitting import make_detector
from ocsdf.cli.loading import load_model
from ocsdf.cli.streaming import open_for_model

_MOST_PRINTED = 10


def fit_segments(data, output, label, anomaly, how, by, jobs, reading):
    """Fit and save a folder of models; return what is said of them."""
    from ocsdf.data.readers import table_name
    from ocsdf.sklearn_compat import SegmentedDetector
    from ocsdf.sklearn_compat.segment_files import check_folder

    check_folder(output)
    detector = SegmentedDetector(make_detector(*how), by=by, n_jobs=jobs)
    batches, told = open_batches(data, reading, label, anomaly)
    if by not in batches.features:
        raise ValueError(f"--by must name a column of {data}; it has no {by!r}")
    with warnings_told() as warned, progress_bar("reading, then training") as bar:
        rows = (frame if odd is None else frame[~odd] for frame, odd in batches)
        detector.fit(followed(bar, batches, rows))
    detector.save(output)
    return {
        "data": table_name(data),
        "rows_fitted": sum(detector.n_rows_.values()),
        "by": by,
        "models": len(detector.segments_),
        "segments": len(detector.n_rows_),
        "warnings": [*told, *warned],
        "model": str(output.resolve()),
    }


def report_segments(data, model, label, reading, output, as_json):
    """Rank the segments of a table, and write and print what is said of them."""
    from ocsdf.data.readers import table_name
    from ocsdf.utils.files import write_whole

    detector, _ = load_model(model, calibrated=True)
    batches = open_for_model(detector, data, label, reading)
    rows, _, n_seen = sample_labelled(batches, 0)
    with progress_bar("judging"):
        ranked = detector.report(rows)
    title = f"{table_name(data)} by {detector.by}"
    text = _page(ranked, title, len(rows), n_seen, output.suffix.lower())
    write_whole(output, text)
    facts = {
        "data": table_name(data),
        "by": detector.by,
        "rows": n_seen,
        "rows_judged": len(rows),
        "segments": _records(ranked),
        "report": str(output.resolve()),
    }
    if as_json:
        print_json(facts)
        return
    for line in ranked.head(_MOST_PRINTED).itertuples():
        say(
            f"{line.segment}: {line.anomalies:,} of {line.n_rows:,} rows are called anomalies "
            f"({100.0 * line.share:.1f} %)"
        )
    say(f"report: {facts['report']}")


def _page(ranked, title, n_judged, n_seen, suffix):
    """The report as JSON, Markdown or HTML, by its suffix."""
    import json

    from ocsdf.utils.html import fill_template

    if suffix == ".json":
        return json.dumps(_records(ranked), indent=2) + "\n"
    template = f"segments.{'md' if suffix == '.md' else 'html'}.j2"
    return fill_template(
        "ocsdf.report",
        template,
        title=title,
        lines=_records(ranked),
        n_judged=n_judged,
        n_seen=n_seen,
    )


def _records(ranked):
    """Lines of a frame as JSON types, which have no NaN."""
    lines = ranked.astype(object).where(ranked.notna(), None).to_dict(orient="records")
    return [
        {name: value.item() if hasattr(value, "item") else value for name, value in line.items()}
        for line in lines
    ]
