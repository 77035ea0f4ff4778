"""Tables as delimited text: read, and refused where a line is not like the others."""

import bz2
import csv
import gzip
import io
import lzma
import sys
from functools import partial
from itertools import takewhile

from ocsdf.data.layout import HEAD_BYTES, sniff, split_rows
from ocsdf.utils.exactness import exact_floats

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
_DECOMPRESSORS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
STDIN = "-"


def is_text(path):
    """Tell whether a path is read as delimited text: by its suffix, or as it is a pipe or
    device.
    """
    if str(path) == STDIN or (path.exists() and not path.is_file() and not path.is_dir()):
        return True
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _DECOMPRESSORS:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in TEXT_SUFFIXES


def read_delimited(path, reading, label=None):
    """Read delimited text.

    Columns without a name are called ``Unnamed: 0`` and so on, by their places.
    """
    import pandas as pd

    reopen = opener(path)
    with reopen() as file:
        layout = sniff(file.read(HEAD_BYTES), reading)
    try:
        with reopen() as file:
            labels, n_before = _check_lines(file, layout, label)
    except UnicodeDecodeError as error:
        raise ValueError(_not_decoded(reopen, layout.encoding)) from error
    with reopen() as file:
        frame = pd.read_csv(
            file,
            sep=r"\s+" if layout.sep == " " else layout.sep,
            decimal=layout.decimal,
            encoding=layout.encoding,
            header=None,
            names=range(len(layout.names)),
            skiprows=n_before,
            index_col=False,
            low_memory=False,
            **exact_floats(),
            dtype={place: str for place, name in enumerate(layout.names) if name in reading.text},
        )
    frame.columns = layout.names
    if labels is not None:
        frame[label] = _label_values(labels)
    return frame


def opener(path):
    """Return a function that opens a file's text, each time from its beginning, as bytes."""
    if str(path) == STDIN:
        content = sys.stdin.buffer.read()
    elif path.exists() and not path.is_file():
        content = path.read_bytes()  # of a pipe, which is read only once
    else:
        return lambda: _DECOMPRESSORS.get(path.suffix.lower(), open)(path, "rb")
    return lambda: io.BytesIO(content)


def _check_lines(file, layout, label):
    """Refuse lines of more or fewer fields than the header.

    Return the label's texts, and how many lines come before the data.
    """
    place = layout.names.index(label) if label in layout.names else None
    labels = [] if place is not None else None
    text = io.TextIOWrapper(file, layout.encoding, newline="")
    rows = split_rows(text, layout.sep)
    n_before, n_named, n_rows = 0, layout.skip + layout.header, 0
    try:
        for row in rows:
            if n_named or _is_blank(row):
                n_before += n_named > 0
                n_named -= not _is_blank(row)
                continue
            if len(row) != len(layout.names):
                raise ValueError(_unequal(rows.line_num, row, layout, is_first=n_rows == 0))
            n_rows += 1
            if labels is not None:
                labels.append(row[place])
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}; is a quote left open?") from error
    finally:
        text.detach()
    return labels, n_before


def _is_blank(row):
    return not row or (len(row) == 1 and not row[0].strip())


def _unequal(number, row, layout, is_first):
    n_names = len(layout.names)
    text = (
        f"line {number} has {len(row)} field{'s' * (len(row) != 1)} and "
        f"{'the header' if layout.header else 'the first line'} {n_names}, parted by "
        f"{layout.sep!r}: "
    )
    if len(row) < n_names:
        return text + "it may be cut off"
    if not any(field.strip() for field in row[n_names:]):
        return text + "take the separators at its end away, or add them to the header"
    if is_first and len(row) == n_names + 1:
        return text + "where the first column holds row names, as R writes them, name it, too"
    return text + "quote fields that hold separators, or name another one with --sep"


def _not_decoded(reopen, encoding):
    """Say which line is not in the encoding."""
    with reopen() as file:
        number = 1 + sum(1 for _ in takewhile(partial(_decodes, encoding), file))
    return (
        f"line {number} is not {encoding}: name the file's encoding with --encoding (in Python "
        "encoding=), such as cp1252"
    )


def _decodes(encoding, line):
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _label_values(texts):
    """Make labels of texts: numbers or booleans where all are, NaN where there is none."""
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    labels = pd.Series(texts, dtype=object).str.strip()
    plain = pd.read_csv(io.StringIO("\n".join(["y", *map(_quoted, texts)])), **exact_floats())["y"]
    if is_numeric_dtype(plain):
        return plain
    return labels.where(labels != "", None)


def _quoted(text):
    return '"' + text.replace('"', '""') + '"'
