"""Tables larger than memory and engines, from their records; a billion rows on paper."""

from experiments.numbers.words import nearest, record, table

_ROWS, _COLUMNS, _WORKERS, _HOUR = 10**9, 100, 50, 3600.0
_BYTES = 8


def scale():
    """Seconds and memory of each step, and beside an IsolationForest loop."""
    rows = record("scale")
    lines = [
        [
            f"`{row.step}`" if row.step in ("fit", "score") else row.step,
            f"{row.rows:,} x {row.columns}",
            nearest(row.seconds),
            f"{row.rows_per_second:,}",
            nearest(row.peak_mb / 1000.0, 2),
        ]
        for row in rows.itertuples()
    ]
    head = ["step", "rows x features", "seconds", "rows a second", "gigabytes at most"]
    return table(head, lines)


def engines():
    """Rows a second by engine and workers, and parity with one process."""
    rows = record("engines")
    lines = [
        [
            row.engine,
            str(row.workers),
            nearest(row.seconds_to_start),
            f"{row.rows_per_second:,}",
            nearest(row.largest_difference_over_slack, 2),
            str(row.verdicts_that_differ),
        ]
        for row in rows.itertuples()
    ]
    head = ["engine", "workers", "seconds to start", "rows a second"]
    return table([*head, "largest difference / float slack", "verdicts that differ"], lines)


def paper_costs():
    """A billion rows of a hundred features by fifty workers, from measured unit costs."""
    measured = record("scale")
    steps = measured[measured["rows"] == measured["rows"].max()].set_index("step")
    cells = steps["rows"] * steps["columns"]
    per_number = steps["processor_seconds"] / cells
    scoring = per_number["score"] * _ROWS * _COLUMNS / _WORKERS
    reading = per_number["pass"] * _ROWS * _COLUMNS / _WORKERS
    gigabytes = _ROWS * _COLUMNS * _BYTES / 1e9
    lines = [
        ["rows, as float64", f"{gigabytes:,.0f} GB, {gigabytes / _WORKERS:,.0f} GB a worker"],
        ["one pass: moments and a sample", f"{reading / 60.0:,.0f} minutes"],
        ["summaries that the driver merges", "up to 26 MB a partition, eight at a time"],
        ["fit, once", "as on one machine, seconds"],
        ["scoring, one thread a worker", f"{scoring / _HOUR:,.1f} hours"],
        ["scores, radii, percentiles, verdicts", f"{_ROWS * 33 / 1e9:,.0f} GB before compression"],
    ]
    head = [f"10^9 rows x {_COLUMNS} features, {_WORKERS} workers", "bytes or time"]
    return table(head, lines)


PARTS = {"scale": scale, "engines": engines, "paper-costs": paper_costs}
