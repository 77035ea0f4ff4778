"""Where a report comes from: date, command line, hashes of data and model, versions."""

import hashlib
import platform
import re
import shlex
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

PACKAGES = (
    *("ocsdf", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "deel-lip", "pyod"),
    *("pandas", "matplotlib"),
)


def provenance(data=None, model=None, arrays=()):
    """Collect what ties a report to what it was made from.

    Returned are ``date`` (UTC), ``command``, ``data_sha256``, ``model_sha256`` (None without a
    file).
    """
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(command),
        "data_sha256": hash_file(data) if data and Path(data).is_file() else hash_arrays(arrays),
        "model_sha256": None if model is None else hash_file(model),
    }


def hash_file(path):
    """Return a file's SHA-256, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_arrays(arrays):
    """Return the SHA-256 of arrays: of their types, shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        if hasattr(array, "iloc"):  # text would be hashed as addresses
            import pandas as pd

            array = pd.util.hash_pandas_object(array, index=False).to_numpy()
        array = np.ascontiguousarray([] if array is None else array)
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def package_versions():
    """Versions of Python and of the packages a result depends on; None if not installed."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        versions[name] = None
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def installed_extras():
    """Tell which extras of the installed distribution have all their packages."""
    installed = {}
    for requirement in metadata.requires("ocsdf") or ():
        extra = re.search(r"extra == ['\"]([\w-]+)", requirement)
        if extra:
            name = re.match(r"[\w.-]+", requirement).group()
            present = any(metadata.distributions(name=name))
            installed[extra.group(1)] = installed.get(extra.group(1), True) and present
    return installed
