"""Results that are written a whole part at a time, and go on after a kill where they stopped."""

import hashlib
import json
import shutil
from pathlib import Path

from ocsdf.utils.exactness import exact_floats
from ocsdf.utils.files import open_whole, write_whole

_PLAN = "_plan.json"
SUFFIXES = (".parquet", ".csv")


class Parts:
    """A folder of parts, each whole or not there, and the plan that all of them follow.

    The plan is what the parts depend on, as JSON holds it, and ``done`` counts the first parts that
    are there. A ValueError tells of a folder that holds parts of another plan, or other files.
    """

    def __init__(self, folder, suffix, plan):
        self._folder, self._suffix = Path(folder), suffix
        self._folder.mkdir(exist_ok=True)
        self._follow(json.loads(json.dumps(plan)))
        for left in self._folder.glob(".ocsdf-*.part"):
            left.unlink()
        self.done = 0
        while self._path(self.done).exists():
            self.done += 1

    def read(self, place):
        """Read a part that is there, by its number, as a pandas data frame."""
        import pandas as pd

        path = self._path(place)
        return (
            pd.read_parquet(path)
            if self._suffix == ".parquet"
            else pd.read_csv(path, **exact_floats())
        )

    def write(self, frame):
        """Write a data frame as the next part, aside, then under its name."""
        path = self._path(self.done)
        if self._suffix == ".parquet":
            with open_whole(path) as file:
                frame.to_parquet(file, index=False)
        else:
            write_whole(path, csv_lines(frame))
        self.done += 1

    def join(self, path):
        """Write all parts as one file, whole, and take the folder away."""
        with open_whole(path) as file:
            (self._join_parquet if self._suffix == ".parquet" else self._join_text)(file)
        shutil.rmtree(self._folder)

    def _join_text(self, file):
        for place in range(self.done):
            with open(self._path(place), "rb") as part:
                if place:
                    part.readline()
                shutil.copyfileobj(part, file)

    def _join_parquet(self, file):
        import pyarrow.parquet as parquet

        schema = parquet.read_schema(self._path(0))
        with parquet.ParquetWriter(file, schema) as writer:
            for place in range(self.done):
                # Where keys are missing, a part may have floats for integers.
                writer.write_table(parquet.read_table(self._path(place)).cast(schema))

    def _follow(self, plan):
        """Note the plan, or make sure that it is the one noted."""
        path = self._folder / _PLAN
        if path.exists():
            if json.loads(path.read_bytes()) != plan:
                raise ValueError(
                    f"{self._folder} holds results of another model, table or option: remove the "
                    "folder, or name another output"
                )
            return
        if any(not one.name.startswith(".ocsdf-") for one in self._folder.iterdir()):
            raise ValueError(
                f"cannot write results into {self._folder}: it holds other files; name a new folder"
            )
        write_whole(path, json.dumps(plan, indent=2) + "\n")

    def _path(self, place):
        return self._folder / f"part-{place:06}{self._suffix}"


def csv_lines(frame, header=True):
    """Write a frame as CSV, in which no text of users is a formula."""
    from ocsdf.utils.text import csv_text

    return csv_text(frame, index=False, header=header, lineterminator="\n")


def fingerprint(paths):
    """Tell files by their names, sizes and times."""
    known = []
    for path in paths:
        state = path.stat()
        known.append([path.name, state.st_size, state.st_mtime_ns])
    return known


def content_hash(path):
    """Return the SHA-256 of a file, or of the files of a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
