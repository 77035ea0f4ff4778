"""Read a detector of tables, whatever kind it is."""

from pathlib import Path

from ocsdf.sklearn_compat.segment_files import load_file
from ocsdf.sklearn_compat.segments import SegmentedDetector


def load_detector(path):
    """Read a detector of tables: calibrated or not, or a folder of them by segment.

    A ValueError tells of a path that is none of these.
    """
    return SegmentedDetector.load(path) if Path(path).is_dir() else load_file(path)
