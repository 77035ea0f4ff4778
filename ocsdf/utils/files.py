"""Writing files: checked before the work, and whole or not at all after it."""

import os
import tempfile
from pathlib import Path


def check_output(path, inputs=()):
    """Make sure, before any work, that a file can be written.

    Parameters
    ----------
    path : str or Path
        The file to be.
    inputs : sequence of str or Path, default=()
        Files that are read, and must not be written over.

    Raises
    ------
    ValueError
        If the path is a folder, lies in no writable folder, or is one of the inputs.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if any(path.exists() and Path(one).exists() and path.samefile(one) for one in inputs):
        raise ValueError(f"cannot write {path}: it is an input; name another file")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ValueError(
            f"cannot write {path}: {error.strerror} in folder {path.parent}; choose another"
        ) from error


def write_whole(path, content):
    """Write a file aside, then rename it: readers see the old file or the new one.

    Parameters
    ----------
    path : str or os.PathLike
    content : str or bytes
        Text is written as UTF-8, its line ends as they are.

    Raises
    ------
    OSError
        If it cannot be written; what stood there before stays.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(aside, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
