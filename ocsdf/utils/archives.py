"""Zip files of JSON and plain arrays, of which nothing is believed before it is checked."""

import io
import json
import math
import zipfile

import numpy as np

# Of arrays: little-endian floats, as they are computed with.
_DTYPES = ("<f8", "<f4")
_META, _ENDING = "meta.json", ".npy"


class Foreign(ValueError):
    """A file is whole but of another kind than was asked for: its message says which."""


def to_archive(meta, arrays):
    """Write a description and arrays as the bytes of a zip file, nothing of it compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        content = {_META: json.dumps(meta, default=_plain_number)}
        for name, value in arrays.items():
            if not isinstance(value, bytes):
                name, value = f"{name}{_ENDING}", _array_bytes(np.asarray(value))
            content[name] = value
        for name, value in content.items():
            # A date of its own would make two files of one content differ.
            archive.writestr(zipfile.ZipInfo(name), value)
    return buffer.getvalue()


def from_archive(content):
    """Read what :func:`to_archive` wrote."""
    members = read_members(content)
    meta = json.loads(members.pop(_META))
    if not isinstance(meta, dict):
        raise ValueError(f"{_META} must hold an object")
    arrays = {}
    for name, value in members.items():
        is_array = name.endswith(_ENDING)
        arrays[name.removesuffix(_ENDING)] = array_from_bytes(value) if is_array else value
    return meta, arrays


def read_members(content):
    """Return the members of an uncompressed zip file as bytes, by name.

    Nothing is larger than the file itself, and nothing is written anywhere.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("compressed members")
        if len({info.filename for info in infos}) < len(infos):
            raise ValueError("members of one name")
        if sum(info.file_size for info in infos) > len(content):
            raise ValueError("members larger than the file")
        return {info.filename: archive.read(info) for info in infos}


def array_from_bytes(content):
    """Read a .npy file of floats, whose header must fit its length."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of .npy files")
    shape, in_fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    numbers = content[file.tell() :]
    if dtype.str not in _DTYPES or math.prod(shape) * dtype.itemsize != len(numbers):
        raise ValueError(f"an array of {dtype} and shape {shape} in {len(numbers)} bytes")
    order = "F" if in_fortran_order else "C"
    return np.frombuffer(numbers, dtype).reshape(shape, order=order).copy()


def _array_bytes(array):
    array = np.asarray(array, dtype=np.float64)
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    buffer = io.BytesIO()
    exact = np.array_equal(single, array, equal_nan=True)
    array = np.ascontiguousarray(single if exact else array).reshape(array.shape)
    np.lib.format.write_array(buffer, array.astype(array.dtype.newbyteorder("<")), version=(1, 0))
    return buffer.getvalue()


def _plain_number(value):
    """Turn a NumPy number into JSON's; parameters may hold them."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in {_META}")
