"""Texts of users, such as names of columns, where something else would read commands in them."""

import re

# What begins a formula in a spreadsheet.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_MARKDOWN = re.compile(r"([\\`*\[\]|])")


def visible(text):
    """Write control characters as escapes, so that a terminal shows and does not obey them."""
    return "".join(
        sign
        if sign.isprintable() or sign in "\n\N{NO-BREAK SPACE}"
        else sign.encode("unicode_escape", "surrogatepass").decode()
        for sign in text
    )


def csv_text(frame, **options):
    """Write a frame as CSV, with an apostrophe before texts that spreadsheets take for formulas."""
    safe = frame.copy()
    for place, dtype in enumerate(frame.dtypes):
        if dtype.kind not in "biufcmM":
            column = [_without_formula(value) for value in frame.iloc[:, place]]
            safe.isetitem(place, column)
    return safe.rename(columns=_without_formula, index=_without_formula).to_csv(**options)


def markdown_text(text):
    """Escape a text for Markdown, in which it may stand in a table."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\1", text)


def _without_formula(value):
    is_formula = isinstance(value, str) and _FORMULA.match(value)
    return f"'{value}" if is_formula else value
