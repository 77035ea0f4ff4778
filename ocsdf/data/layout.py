"""How delimited text is laid out: told from its beginning, by what reads it whole or in parts."""

import codecs
import csv
import io
import re
import warnings
from typing import NamedTuple

# In this order: a comma may also be part of numbers, and a space part of names.
_SEPARATORS = ("\t", ";", "|", ",", " ")
_SEPARATOR_NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
HEAD_BYTES, _HEAD_LINES = 2**18, 1000
# The first bytes of gzip, bzip2 and xz.
_COMPRESSED = re.compile(rb"\x1f\x8b|BZh[1-9]1AY&SY|\xfd7zXZ\0")
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_WITH_POINT = re.compile(rf"[+-]?\d*\.\d+{_EXPONENT}|[+-]?\d+\.{_EXPONENT}")
_WITH_COMMA = re.compile(rf"[+-]?\d*,\d+{_EXPONENT}")
# What may be a thousand or more as well as a number between 1 and 1,000.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_NUMBER = re.compile(rf"[+-]?(?:\d+[.,]?\d*|[.,]\d+){_EXPONENT}")
# What Excel writes into a first line of its own.
_EXCEL = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


class Layout(NamedTuple):
    """How delimited text is laid out.

    `skip` lines stand before all others; without a `header` the names are x0, x1 and so on.
    """

    sep: str
    decimal: str
    encoding: str
    header: bool
    skip: int
    names: list


def sniff(head, reading):
    """Tell how delimited text is laid out."""
    if _COMPRESSED.match(head):
        raise ValueError(
            "it is compressed: unpack it first, or end its file's name in .gz, .bz2 or .xz"
        )
    encoding = _encoding(head, reading.encoding)
    text = io.TextIOWrapper(io.BytesIO(head), encoding, errors="replace", newline="").read()
    if "\0" in text:
        raise ValueError("it holds NUL characters: name its encoding, such as utf-16, or save anew")
    lines = [line for line in io.StringIO(text, newline="") if line.strip()]
    if len(head) == HEAD_BYTES and len(lines) > 1:
        lines.pop()  # it may be cut off
    lines = lines[:_HEAD_LINES]
    sep, skip = _check_separator(reading.sep), 0
    excel = _EXCEL.fullmatch(lines[0].strip()) if lines else None
    if excel:
        lines, skip, sep = lines[1:], 1, sep or excel[1]
    if not lines:
        raise ValueError("it is empty: it holds no line of text")
    sep = sep or _separator(lines, reading.header)
    rows = [row for row in split_rows(lines, sep) if row]
    decimal = reading.decimal or _decimal(rows[reading.header :])
    names = [name.strip() for name in rows[0]] if reading.header else _numbered(rows[0])
    if reading.header and 2 * sum(map(_is_number, names)) >= len(names):
        warnings.warn(
            f"the first line, {sep.join(names)[:60]}, was taken for the names of columns: where it "
            "is data, say --no-header (in Python header=False)",
            stacklevel=2,
        )
    return Layout(sep, decimal, encoding, reading.header, skip, _unique(names))


def split_rows(lines, sep):
    """Split lines into fields."""
    if sep == " ":
        lines = (line.replace("\t", " ").strip() for line in lines)
    return csv.reader(lines, delimiter=sep, skipinitialspace=sep == " ")


def _separator(lines, header):
    """Tell the separator: what parts all lines alike, or else the first one most often."""
    alike = [sep for sep in _SEPARATORS if _parts(lines, sep, header)]
    if alike:
        return alike[0]
    n_fields = {sep: len(next(split_rows(lines[:1], sep), ())) for sep in _SEPARATORS[:-1]}
    most = max(n_fields.values())
    return "," if most < 2 else next(sep for sep in n_fields if n_fields[sep] == most)


def _parts(lines, sep, header):
    """Tell whether a separator parts all lines into the same number of fields, two or more."""
    try:
        counts = [len(row) for row in split_rows(lines, sep) if row]
    except csv.Error:
        return False
    width = counts[-1]
    # Of a header, one may be missing: that of R's row names, or of a separator at the lines' ends.
    first = (width, width - 1) if header else (width,)
    return width > 1 and counts[0] in first and set(counts[1:]) <= {width}


def _decimal(rows):
    """Tell the decimal sign of the numbers in rows of text."""
    fields = [field.strip() for row in rows for field in row]
    commas = [field for field in fields if _WITH_COMMA.fullmatch(field)]
    if not commas:
        return "."
    points = [field for field in fields if _WITH_POINT.fullmatch(field)]
    if points:
        raise ValueError(
            f"some numbers have a comma ({commas[0]}) and some a point ({points[0]}): say with "
            "--decimal (in Python decimal=) which is the decimal sign"
        )
    if all(_THOUSANDS.fullmatch(field) for field in commas):
        raise ValueError(
            f"the comma of numbers such as {commas[0]} may part thousands or be the decimal sign: "
            "say --decimal ',' (in Python decimal=','), or save them without it"
        )
    return ","


def _encoding(head, wanted):
    """Return the encoding that is wanted, or that of the byte order mark, or UTF-8."""
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if wanted is None:
        return marked or "utf-8"
    try:
        name = codecs.lookup(wanted).name
        "".encode(name)  # no text has base64 and its like for an encoding
    except LookupError as error:
        raise ValueError(f"no encoding is named {wanted!r}: such as utf-8 or cp1252") from error
    return marked if (name, marked) == ("utf-8", "utf-8-sig") else name


def _check_separator(sep):
    if sep is None:
        return None
    sep = _SEPARATOR_NAMES.get(sep.lower(), sep)
    if len(sep) != 1 or sep in '"\r\n' or not sep.isascii():
        raise ValueError(f"a separator must be one ASCII character, or 'tab'; got {sep!r}")
    return sep


def _is_number(text):
    return bool(_NUMBER.fullmatch(text.strip()))


def _numbered(row):
    return [f"x{place}" for place in range(len(row))]


def _unique(names):
    """Name columns that have no name, and number names that come again, as pandas does."""
    unique = []
    for place, name in enumerate(names):
        name = own = name or f"Unnamed: {place}"
        count = 0
        while own in unique:
            count += 1
            own = f"{name}.{count}"
        unique.append(own)
    return unique
