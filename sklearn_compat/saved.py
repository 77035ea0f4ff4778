"""Detectors that are kept in files, without pickle."""

from importlib import import_module
from typing import Self

from sklearn.utils.validation import check_is_fitted

from ocsdf.utils.types import Path


class SavedDetector:
    """A detector with a file format of its own.

    Abstract: a subclass names in ``_file_format`` the module whose ``save`` and ``load`` it has.
    """

    def save(self, path: Path) -> None:
        """Write the fitted detector, without pickle.

        Parameters
        ----------
        path : str or os.PathLike
            One file, a zip archive that is written whole: aside, then renamed. Of a detector a
            segment a folder, new or empty: a file a segment, and a list of them.

        Raises
        ------
        TypeError
            If a part of it, such as the detector that is calibrated, has no file format, or a
            segment is named by neither text nor a number.
        ValueError
            If the folder holds something.
        """
        check_is_fitted(self)
        _module(self._file_format).save(self, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote. Bounds and thresholds are computed anew.

        Parameters
        ----------
        path : str or os.PathLike

        Returns
        -------
        detector : object
            An object of the class that this is called on, fitted.

        Raises
        ------
        ValueError
            If the file or folder is another one, or damaged.
        """
        return _module(cls._file_format).load(cls, path)


def _module(name):
    return import_module(f"ocsdf.sklearn_compat.{name}")
