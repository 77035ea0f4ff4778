"""Tables that are read a batch of rows at a time: Parquet and delimited text, of any size."""

import warnings
from pathlib import Path

import numpy as np

from ocsdf.data.delimited import STDIN, TEXT_SUFFIXES, is_text, opener
from ocsdf.data.features import AS_IT_IS, choose_features, without_saved_index
from ocsdf.data.layout import HEAD_BYTES, sniff
from ocsdf.data.tables import equals_anomaly
from ocsdf.utils.extras import how_to_install

BATCH_ROWS = 2**16
# Numbers of a Parquet table, and bytes of text, from which on a table is read in batches.
_MOST_NUMBERS, _MOST_BYTES = 2**25, 2**28
# Numbers as text are about as many times larger than compressed.
_COMPRESSION = 4
_BLOCK_BYTES = 2**22
# As pyarrow calls them.
_COMPRESSED = {".gz": "gzip", ".bz2": "bz2"}
_MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"]
_MISSING += ["1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
_MOST_EXACT = 2**53


def is_large(source):
    """Tell whether a table is a folder, or a file that is read in batches for its size."""
    path = Path(source).expanduser()
    if str(source) == STDIN or not path.exists():
        return False
    if path.is_dir():
        return True
    if path.suffix.lower() == ".parquet" and path.is_file():
        try:
            shape = _parquet().ParquetFile(path).metadata
        except Exception:  # what reads it says what is wrong
            return False
        return shape.num_rows * shape.num_columns > _MOST_NUMBERS
    if not path.is_file() or not is_text(path) or path.suffix.lower() == ".xz":
        return False
    factor = _COMPRESSION if path.suffix.lower() in _COMPRESSED else 1
    return path.stat().st_size * factor > _MOST_BYTES and _sniffed(path).sep != " "


class Batches:
    """Rows of files, in order, as data frames of the features; each iteration reads them anew.

    `source`, `label` and `anomaly` are as for :func:`ocsdf.load_table`, and so are the errors while
    rows are read; columns of `keep` are read besides. ``done`` is the share of bytes, or rows, that
    the present iteration has read.
    """

    def __init__(self, source, reading, label=None, anomaly=None, keep=()):
        path = Path(source).expanduser()
        self.files = _files_of(path)
        self._reading, self._label, self._anomaly, self._keep = reading, label, anomaly, list(keep)
        self._sizes = [file.stat().st_size for file in self.files]
        self.done, self.features = 0.0, None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frames = (frame for file in self.files for frame in self._frames(file))
            first = next(frames, None)
        if first is None:
            raise ValueError(f"{path} is empty: it holds no rows")
        frame = without_saved_index(_with_integers(first), reading, label)
        names = [name for name in frame.columns if name not in self._keep]
        for name, what in ((label, "the label"), *((one, "to be kept") for one in self._keep)):
            if name is not None and name not in frame.columns:
                raise ValueError(f"{path} has no column {name!r}, which is {what}")
        self.features = choose_features(names, reading, label)

    def __iter__(self):
        """Give each batch: a data frame of features and kept columns, and which are anomalies."""
        self.done, total = 0.0, sum(self._sizes) or 1
        for place, file in enumerate(self.files):
            before = sum(self._sizes[:place])
            for frame in self._frames(file):
                self.done = (before + self._share * self._sizes[place]) / total
                yield self._chosen(frame, file)

    def _chosen(self, frame, file):
        missing = [name for name in self.features if name not in frame.columns]
        if missing:
            raise ValueError(f"{file} lacks the column {missing[0]!r} of {self.files[0]}")
        anomaly = None
        if self._label is not None:
            anomaly = _anomalies(frame[self._label], self._anomaly, f"{self._label!r} of {file}")
        return frame[[*self._keep, *self.features]], anomaly

    @property
    def _wanted(self):
        """The columns that are needed; None as long as the features are not known."""
        if self.features is None:
            return None
        return [*self._keep, *self.features, *([self._label] * (self._label is not None))]

    def _frames(self, file):
        """Read one file in frames, and note the share of it that was read."""
        frames = _parquet_frames if file.suffix.lower() == ".parquet" else _text_frames
        self._share = 0.0
        try:
            for share, frame in frames(file, self._reading, self._wanted, self.features):
                self._share = share
                if len(frame):
                    yield frame
        except (ImportError, MemoryError):
            raise
        except Exception as error:  # parsers answer damaged files with anything
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"cannot read {file}: {reason}") from error


def _with_integers(frame):
    """Turn numbers that are all whole into integers again, which text is not read as."""
    whole = [
        name
        for name in frame.columns
        if frame[name].dtype == np.float64
        and (frame[name] == np.rint(frame[name])).all()
        and frame[name].abs().max() < _MOST_EXACT
    ]
    return frame.astype(dict.fromkeys(whole, np.int64))


def rebatched(batches, n_rows):
    """Give the same rows in frames of `n_rows` rows, indexed from 0; the last may be shorter."""
    import pandas as pd

    waiting, count = [], 0
    for frame in batches:
        waiting.append(frame)
        count += len(frame)
        while count >= n_rows:
            whole = pd.concat(waiting, ignore_index=True) if len(waiting) > 1 else waiting[0]
            yield whole.iloc[:n_rows].reset_index(drop=True)
            waiting, count = [whole.iloc[n_rows:]], count - n_rows
    if count:
        yield pd.concat(waiting, ignore_index=True)


def _files_of(path):
    """The file, or the files of a folder in the order of their names, all of one kind."""
    if not path.exists():
        raise FileNotFoundError(f"no file at {path}: check the path")
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    )
    kinds = {"Parquet" if file.suffix.lower() == ".parquet" else "text" for file in files}
    odd = [file for file in files if file.suffix.lower() != ".parquet" and not is_text(file)]
    if len(kinds) != 1 or odd:
        expected = f".parquet, {', '.join(TEXT_SUFFIXES)}"
        found = f"; it holds {odd[0].name}" if odd else ""
        raise ValueError(f"{path} must hold files of one kind, {expected}, at least one{found}")
    return files


def _parquet():
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ImportError(f"large tables need pyarrow: {how_to_install('parquet')}") from error
    return parquet


def _parquet_frames(file, reading, wanted, features):
    # A buffer, so that a row group is never held whole.
    with _parquet().ParquetFile(file, buffer_size=_BLOCK_BYTES) as content:
        metadata = content.schema_arrow.pandas_metadata or {}
        asked = {*(reading.features or ()), *(reading.model_features or ()), *reading.drop}
        index = {name for name in metadata.get("index_columns", ()) if isinstance(name, str)}
        columns = [name for name in content.schema_arrow.names if name not in index - asked]
        if wanted is not None:
            columns = [name for name in columns if name in wanted]
        n_rows, done = max(1, content.metadata.num_rows), 0
        # A group at a time: of chosen columns, pyarrow keeps what it has read of all groups.
        for group in range(content.num_row_groups):
            for batch in content.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                done += batch.num_rows
                yield done / n_rows, batch.to_pandas(date_as_object=False)


def _sniffed(file, reading=None):
    """Tell how text is laid out, by its beginning."""
    with warnings.catch_warnings():
        if reading is None:
            warnings.simplefilter("ignore")
        with opener(file)() as text:
            return sniff(text.read(HEAD_BYTES), reading or AS_IT_IS)


def _text_frames(file, reading, wanted, features):
    """Read text in frames; features are float64 where the first ones are integers."""
    _parquet()  # says how to install it
    import pyarrow as pa
    from pyarrow import csv

    layout = _sniffed(file, reading)
    if layout.sep == " ":
        raise ValueError("columns parted by spaces are not read in batches: save as Parquet")
    size = max(1, file.stat().st_size)
    read = {
        "skip_rows": layout.skip + layout.header,
        "column_names": layout.names,
        "encoding": layout.encoding,
        "block_size": _BLOCK_BYTES,
        "use_threads": False,
    }
    convert = {
        "decimal_point": layout.decimal,
        "null_values": _MISSING,
        "strings_can_be_null": True,
    }
    parse = csv.ParseOptions(delimiter=layout.sep, newlines_in_values=True)

    def open_reader(raw, **types):
        stream = pa.input_stream(raw, compression=_COMPRESSED.get(file.suffix.lower()))
        options = csv.ConvertOptions(**convert, **types)
        return csv.open_csv(stream, csv.ReadOptions(**read), parse, options)

    with open(file, "rb") as raw:
        schema = open_reader(raw).schema
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    whole = [name for name in whole if name not in reading.text]
    whole = [name for name in whole if features is None or name in features]
    empty = [field.name for field in schema if pa.types.is_null(field.type)]
    types = dict.fromkeys([*whole, *empty], pa.float64())
    types |= {name: pa.string() for name in reading.text if name in layout.names}
    types |= {name: pa.string() for name in layout.names if name in reading.text}
    present = None if wanted is None else [name for name in layout.names if name in wanted]
    with open(file, "rb") as raw:
        for batch in open_reader(raw, column_types=types, include_columns=present):
            frame = batch.to_pandas(date_as_object=False)
            if features is not None:
                _refuse_inexact(frame, whole)
            yield min(1.0, raw.tell() / size), frame


def _refuse_inexact(frame, names):
    """Refuse integers that float64 may have rounded."""
    for name in names:
        if np.abs(frame[name]).max() >= _MOST_EXACT:
            raise ValueError(
                f"column {name!r} holds integers of 2^53 or more, which float64 rounds: leave it "
                "out with --drop if it numbers rows, or scale it"
            )


def _anomalies(labels, anomaly, what):
    """Tell which rows of a batch are anomalies."""
    if labels.isna().any():
        raise ValueError(f"label {what} is missing in some rows: fill or drop them")
    if anomaly is None:
        others = [value for value in labels.unique().tolist() if value not in (0, 1)]
        if others:
            raise ValueError(
                f"label {what} is not 0/1, it holds {others[0]!r}: say with --anomaly which value "
                "is the anomaly"
            )
        anomaly = 1
    return equals_anomaly(labels, anomaly)
