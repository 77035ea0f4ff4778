"""Read a detector of tables from its file, whatever kind it is."""

import zipfile

from ocsdf.sklearn_compat.conformal import ConformalDetector
from ocsdf.sklearn_compat.estimator import OCSDF


def load_detector(path):
    """Read a detector of tables, calibrated or not.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    OCSDF or ConformalDetector

    Raises
    ------
    ValueError
        If it is neither's file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            calibrated = "detector.ocsdf" in archive.namelist()
    except Exception:  # a damaged file is answered with anything; what reads it whole says so
        calibrated = False
    return (ConformalDetector if calibrated else OCSDF).load(path)
