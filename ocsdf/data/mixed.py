"""Columns of files that are no numbers: dates and categories, as far as text tells."""

import warnings

from ocsdf.data.features import identifies, listed

_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_ZONED = r".*[T ].*(?:Z|[+-]\d{2}:?\d{2})"
# Of text that looks like numbers: a share from which it is said.
_MOSTLY = 0.5


def read_dates(frame, text=()):
    """Make dates of columns of text whose every value is one, as ISO 8601 writes them.

    Columns named in `text` stay text whatever they look like.
    """
    import pandas as pd

    dates = {}
    for name in frame.columns:
        values = frame[name].dropna()
        if name in text or not len(values) or not _is_text(values):
            continue
        written = values.astype("str")
        if not written.str.fullmatch(_DATE).all():
            continue
        zoned = written.str.fullmatch(_ZONED)
        if zoned.any() != zoned.all():
            continue
        parsed = pd.to_datetime(
            frame[name], format="ISO8601", utc=bool(zoned.any()), errors="coerce"
        )
        if parsed.notna().sum() == len(values):
            dates[name] = parsed
    return frame.assign(**dates) if dates else frame


def warn_of_columns(frame):
    """Warn of columns that will not be what they seem: identifiers, and numbers among text."""
    import pandas as pd

    suspects, mostly = [], []
    for name in frame.columns:
        values = frame[name].dropna()
        if not _is_text(values):
            if pd.api.types.is_numeric_dtype(values) and identifies(values.to_numpy()):
                suspects.append(name)
            continue
        if len(values) == len(frame) and values.nunique() == len(values):
            suspects.append(name)
        numbers = pd.to_numeric(values, errors="coerce").notna()
        if _MOSTLY < numbers.mean() < 1.0:
            mostly.append(f"{name!r} ({values[~numbers].iloc[0]!r})")
    if suspects and len(frame) >= 20:
        warnings.warn(
            f"{listed(suspects)}: another value in each row: where they only name the rows, leave "
            "them out with --drop (in Python drop=)",
            stacklevel=2,
        )
    if mostly:
        warnings.warn(
            f"columns that are mostly numbers are read as categories, as they hold text, too: "
            f"{', '.join(mostly[:5])}",
            stacklevel=2,
        )


def _is_text(values):
    return values.dtype == object or str(values.dtype) in ("str", "string")
