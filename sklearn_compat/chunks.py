"""Training rows that come in chunks: a sample of them to fit on, and moments of all."""

import pickle
from collections.abc import Iterator
from itertools import count

import numpy as np

from ocsdf.data.summaries import RowSummary

# Summaries of partitions that are merged at a time.
_MERGED = 8


def come_in_chunks(X):
    """Tell whether X gives its rows a chunk at a time.

    So do iterators, lists of tables, Arrow datasets, scanners and readers, data frames of Dask and
    Spark, datasets of Ray, and a :class:`ocsdf.data.RowSummary`; tables of rows are none of these.
    """
    return chunks_of(X) is not None


def summarize_chunks(X, random_state=0, refuse_missing=True):
    """Pass once over rows that come in chunks; see :func:`come_in_chunks`.

    `random_state` seeds the sample. A ValueError tells of no rows, of chunks that do not fit
    together, and of a number that is not finite, at the chunk that has it; missing ones pass where
    `refuse_missing` is False.
    """
    if isinstance(X, RowSummary):
        summary = X
        check_values(summary, refuse_missing)
    elif _is_dask(X) or _is_spark(X):
        where = _summarize_on_dask if _is_dask(X) else _summarize_on_spark
        summary = where(X, random_state)
        check_values(summary, refuse_missing)
    else:
        summary = RowSummary(random_state)
        for chunk in chunks_of(X):
            summary.update(chunk)
            check_values(summary, refuse_missing)
    if summary.n_seen == 0:
        raise ValueError("X has no rows: its chunks are empty.")
    return summary


def exact_standardization(summary, names, mean, scale):
    """Put the moments of all rows in the place of those of the sample, where they are known.

    `names` are the columns that `mean` and `scale` are of.
    """
    known, mean, scale = summary.standardization(), mean.copy(), scale.copy()
    for place, name in enumerate(names):
        if name in known:
            mean[place], deviation = known[name]
            # What is constant but for rounding keeps the scale that a table would give it.
            if deviation > 1e-12 * abs(mean[place]):
                scale[place] = deviation
    return mean, scale


def check_values(summary, refuse_missing):
    """Refuse numbers that are infinite or, where that is an error, missing, by column."""
    if summary.n_seen == 0:
        return
    missing, infinite = summary.unfit()
    if infinite or (missing and refuse_missing):
        kind = "infinity" if infinite else "NaN"
        names = ", ".join(map(repr, map(str, infinite or missing)))
        raise ValueError(
            f"Input X contains {kind} in columns {names}; OCSDF needs finite numbers: fill or drop "
            "them first."
        )


def chunks_of(X):
    """Return the chunks of X, None where it is a table of rows.

    A RowSummary and a data frame of Dask or Spark stand for themselves.
    """
    if isinstance(X, RowSummary) or _is_dask(X) or _is_spark(X):
        return X
    if hasattr(X, "iter_batches") and hasattr(X, "map_batches"):  # of Ray
        return X.iter_batches(batch_format="pandas")
    if hasattr(X, "to_batches") and not hasattr(X, "shape"):  # an Arrow dataset or scanner
        return X.to_batches()
    if isinstance(X, Iterator) or hasattr(X, "read_next_batch"):
        return X
    if isinstance(X, list | tuple) and X and all(_is_table(part) for part in X):
        return iter(X)
    return None


def chunks_here(X):
    """Return chunks whose rows come to this process.

    A TypeError refuses a summary, which has no rows, and a data frame of Spark.
    """
    if isinstance(X, RowSummary) or _is_spark(X):
        raise TypeError(
            f"Expected chunks of rows; got a {type(X).__name__}: pass an iterator of data frames."
        )
    return (part.compute() for part in X.partitions) if _is_dask(X) else chunks_of(X)


def _is_dask(X):
    return hasattr(X, "to_delayed") and hasattr(X, "npartitions") and hasattr(X, "map_partitions")


def _is_spark(X):
    return hasattr(X, "mapInPandas") and hasattr(X, "toPandas")


def _is_table(part):
    return len(getattr(part, "shape", ())) == 2 and not np.ma.isMaskedArray(part)


def _summarize_on_dask(X, random_state):
    """Summarize each partition where it is, and merge the summaries there, too."""
    from dask import compute, delayed

    seeds = count()
    parts = [delayed(_summarize)(part, (random_state, next(seeds))) for part in X.to_delayed()]
    while len(parts) > 1:
        groups = [parts[start : start + _MERGED] for start in range(0, len(parts), _MERGED)]
        parts = [delayed(_merge)(group) for group in groups]
    return compute(parts[0])[0]


def _summarize_on_spark(X, random_state):
    """Summarize each partition where it is, and merge the summaries here."""

    def summarize(parts):
        import pandas as pd
        from pyspark import TaskContext

        summary = RowSummary((random_state, TaskContext.get().partitionId()))
        for part in parts:
            summary.update(part)
        if summary.n_seen:
            yield pd.DataFrame({"summary": [pickle.dumps(summary)]})

    found = X.mapInPandas(summarize, "summary binary").toLocalIterator()
    return _merge([RowSummary(random_state), *(pickle.loads(line["summary"]) for line in found)])


def _summarize(frame, random_state):
    return RowSummary(random_state).update(frame)


def _merge(summaries):
    first, *others = summaries
    for other in others:
        first.merge(other)
    return first
