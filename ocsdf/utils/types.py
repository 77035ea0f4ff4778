"""Types of what public functions take, for those who check their own code with mypy or pyright."""

import os
from typing import Any, Protocol, TypeAlias

from numpy.typing import ArrayLike


class Table(Protocol):
    """Rows that are no array: data frames of any library, sparse matrices."""

    @property
    def shape(self) -> Any:
        """Rows and columns."""


Rows: TypeAlias = ArrayLike | Table
Label: TypeAlias = int | float | bool | str | None
Path: TypeAlias = str | os.PathLike[str]
