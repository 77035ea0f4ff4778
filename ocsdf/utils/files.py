"""Writing files: checked before the work, and whole or not at all after it."""

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

# What Linux and macOS call a descriptor that is open already, such as /dev/stdout behind a link.
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self|proc/thread-self|proc/(\d+))/fd/(\d+)")
# How a folder says that it takes no new files.
_NO_NEW_FILES = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_output(path, inputs=()):
    """Make sure, before any work, that a file can be written."""
    path = Path(path)
    try:
        _check(path, inputs)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}; choose another") from error


def _check(path, inputs):
    """Raise what is wrong with an output."""
    descriptor = _descriptor(path)
    if descriptor is not None:
        os.fstat(descriptor)
        return
    state = _state(path)
    if state is not None and stat.S_ISDIR(state.st_mode):
        raise ValueError(f"cannot write {path}: it is a folder; name a file in it")
    if state is not None and not stat.S_ISREG(state.st_mode):
        if stat.S_ISSOCK(state.st_mode):
            raise ValueError(f"cannot write {path}: it is a socket; choose another")
        if not os.access(path, os.W_OK):
            raise ValueError(f"cannot write {path}: no permission; choose another")
        return
    folder = _target(path).parent
    if not folder.is_dir():
        raise ValueError(f"cannot write {path}: there is no folder {folder}; make it first")
    if state is not None and any(_is_same(state, source) for source in inputs):
        raise ValueError(f"cannot write {path}: it is an input; name another file")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        if state is None or not os.access(path, os.W_OK):
            raise ValueError(
                f"cannot write {path}: {error.strerror} in folder {folder}; choose another"
            ) from error


def write_whole(path, content):
    """Write a file as :func:`open_whole` does."""
    with open_whole(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def open_whole(path):
    """Open a file to be written aside, then renamed: readers see the old file or the new one.

    Links are followed. The file keeps its permissions and its owner. What is no regular file, such
    as a device or a pipe, is written straight into. What a rename would take away, such as the
    other names of a file with hard links, stays: the new content, whole beside it, is copied over
    the old one; so is it where the folder takes no new files.
    """
    descriptor, state = _descriptor(path), _state(path)
    if descriptor is not None:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            yield file
    elif state is not None and not stat.S_ISREG(state.st_mode):
        with open(path, "wb") as file:
            yield file
    else:
        with _beside(_target(path), state) as file:
            yield file


@contextmanager
def _beside(target, state):
    """Open a new file that takes the place of a regular one, or of none."""
    # Not by mkstemp, whose file nobody else may read: this one has the permissions of any new file,
    # and as exclusively its own a name.
    aside = target.parent / f".ocsdf-{secrets.token_hex(8)}.part"
    try:
        file = open(aside, "xb")  # noqa: SIM115  closed below, before the file is renamed
    except OSError as error:
        if state is None or error.errno not in _NO_NEW_FILES:
            raise
        with _elsewhere(target) as file:
            yield file
        return
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        aside.unlink()
        raise
    _replace(aside, target, state)


@contextmanager
def _elsewhere(target):
    """Open a temporary file whose content overwrites a file in a folder that takes no new ones."""
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        _overwrite(target, file)


def _replace(aside, target, state):
    """Put a whole new file in the place of an old one, or of none."""
    loses = state is not None and _would_lose(aside, target, state)
    writable = state is not None and os.access(target, os.W_OK)
    try:
        if not (loses and writable):
            os.replace(aside, target)
            return
    except OSError:  # such as of a file that is a mount of its own, as containers have
        if not writable:
            aside.unlink()
            raise
    try:
        with open(aside, "rb") as new:
            _overwrite(target, new)
    except OSError as error:
        raise OSError(
            f"{error.strerror}: {target} is not whole any more, but {aside} is"
        ) from error
    aside.unlink()


def _would_lose(aside, target, state):
    """Give a new file what the old one has, and tell whether a rename loses anything yet."""
    if state.st_nlink > 1:
        return True
    new = os.stat(aside)
    try:
        if (new.st_uid, new.st_gid) != (state.st_uid, state.st_gid):
            os.chown(aside, state.st_uid, state.st_gid)
        shutil.copystat(target, aside)
        os.utime(aside)
    except PermissionError:
        return True
    return False


def _overwrite(target, new):
    """Write over a file in place."""
    with open(target, "r+b") as old:
        shutil.copyfileobj(new, old)
        old.truncate()
        old.flush()
        os.fsync(old.fileno())


def _state(path):
    """Return what the file system knows of what a path leads to; None if it leads to nothing."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _target(path):
    """Return the file at the end of all links."""
    return Path(os.path.realpath(path) if os.path.islink(path) else path)


def _descriptor(path):
    """Return the number of this process's open descriptor that a path names, None if none."""
    path = os.fspath(path)
    if path in ("/dev/stdout", "/dev/stderr"):
        return 1 if path.endswith("out") else 2
    found = _DESCRIPTOR.fullmatch(path)
    if found is None or found[1] not in (None, str(os.getpid())):
        return None
    return int(found[2])


def _is_same(state, source):
    try:
        return os.path.samestat(state, os.stat(Path(source).expanduser()))
    except OSError:  # no file: a table by its name
        return False
