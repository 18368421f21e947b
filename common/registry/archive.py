"""Packs arrays into the bytes of an .npz file, and unpacks them without running code."""

import hashlib
import io
import math
import re
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused

Arrays = dict[str, NDArray[Any]]

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can store
_CREATED_ON_UNIX = 3
_MAGIC = b"\x93NUMPY\x01\x00"
# The pattern accepts numbers, booleans and texts of a fixed size. Arrays of Python objects are
# refused, because they are stored as pickles.
_HEADER = re.compile(
    rb"\{'descr': '([<|][fiubU]\d{1,5})', 'fortran_order': False, "
    rb"'shape': \((\d{1,12}, ?|\d{1,12}(?:, \d{1,12})+)\), \} *\n"
)


def pack(arrays: Arrays) -> bytes:
    """Return arrays as an uncompressed .npz file, which numpy.load reads with allow_pickle=False.

    Equal arrays give equal bytes.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH)
            entry.create_system = _CREATED_ON_UNIX
            archive.writestr(entry, _npy_bytes(arrays[name]))
    return buffer.getvalue()


def unpack(data: bytes, file_name: str) -> Arrays:
    """Return the arrays that `pack` wrote; error messages contain `file_name`.

    Raises ModelRefused for data types that `pack` does not write, for entries that are compressed
    or have the same name, and for sizes that do not match the bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            arrays = {
                _array_name(entry): _parse_npy(_entry_bytes(archive, entry)) for entry in entries
            }
    # zipfile raises RuntimeError for an encrypted entry, and NotImplementedError (a RuntimeError)
    # for an unknown compression method.
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise ModelRefused(f"{file_name} is damaged: {error}") from error
    if len(arrays) != len(entries):
        raise ModelRefused(f"{file_name} is damaged: it contains a name twice")
    return arrays


def array_digest(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's type, shape and bytes."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}\n".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def joint_digest(digests: dict[str, str]) -> str:
    """Return one SHA-256 of all names and digests; the order of the dict does not matter."""
    lines = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def _npy_bytes(array: NDArray[Any]) -> bytes:
    npy_bytes = io.BytesIO()
    np.lib.format.write_array(npy_bytes, np.asarray(array, order="C"), (1, 0), allow_pickle=False)
    return npy_bytes.getvalue()


def _array_name(entry: zipfile.ZipInfo) -> str:
    if not entry.filename.endswith(".npy"):
        raise ValueError(f"its entry {entry.filename!r} is not an array")
    return entry.filename.removesuffix(".npy")


def _entry_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # Compressed entries could expand beyond the size of the file.
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"its entry {entry.filename!r} is compressed")
    return archive.read(entry)


def _parse_npy(npy_bytes: bytes) -> NDArray[Any]:
    header_start = len(_MAGIC) + 2
    header_end = header_start + int.from_bytes(npy_bytes[len(_MAGIC) : header_start], "little")
    header = _HEADER.fullmatch(npy_bytes[header_start:header_end])
    if not npy_bytes.startswith(_MAGIC) or header is None:
        shown_header = npy_bytes[header_start : min(header_end, header_start + 80)]
        raise ValueError(f"an array header of another kind: {shown_header!r}")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(size) for size in header[2].split(b",") if size.strip())
    if math.prod(shape) * dtype.itemsize != len(npy_bytes) - header_end:
        raise ValueError(
            f"{len(npy_bytes) - header_end} bytes do not fit the shape {shape} of {dtype}"
        )
    # The array is copied, because an array over bytes is read-only, and numba would compile every
    # kernel a second time for read-only arrays.
    return np.frombuffer(npy_bytes, dtype=dtype, offset=header_end).reshape(shape).copy()
