"""Opens data files: decompresses compressed files, and recognises other forms."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.xz_stream import open_xz

_MAGIC_BYTES = 20
_MAX_SHOWN_MEMBERS = 5


class FileForm(StrEnum):
    """The form of a file. Its first bytes show the form; its name has no effect."""

    TEXT = "text"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"
    ZIP = "zip"
    PARQUET = "Parquet"
    ARROW = "Arrow"
    EXCEL = "an Excel workbook"
    OLD_EXCEL = "an Excel workbook of an old version (.xls) or with a password"
    SEVEN_ZIP = "a 7-Zip archive"
    RAR = "a RAR archive"
    PDF = "a PDF document"
    HDF5 = "an HDF5 or NetCDF file"
    NETCDF = "a NetCDF file"
    AVRO = "an Avro file"
    MATLAB = "a MATLAB file"
    NUMPY = "a NumPy file"
    SQLITE = "an SQLite database"
    XML = "an XML file"
    HTML = "an HTML page"


ARROW_FORMS = (FileForm.PARQUET, FileForm.ARROW)
"""The forms that are tables of columns, and not text."""
_FORM_OF_MAGIC = {
    b"\x1f\x8b": FileForm.GZIP,
    b"BZh": FileForm.BZIP2,
    b"\xfd7zXZ\0": FileForm.XZ,
    b"\x28\xb5\x2f\xfd": FileForm.ZSTD,
    b"PK\x03\x04": FileForm.ZIP,
    b"PAR1": FileForm.PARQUET,
    b"ARROW1": FileForm.ARROW,
    b"\xd0\xcf\x11\xe0": FileForm.OLD_EXCEL,
    b"7z\xbc\xaf\x27\x1c": FileForm.SEVEN_ZIP,
    b"Rar!\x1a\x07": FileForm.RAR,
    b"%PDF-": FileForm.PDF,
    b"\x89HDF\r\n\x1a\n": FileForm.HDF5,
    b"CDF\x01": FileForm.NETCDF,
    b"CDF\x02": FileForm.NETCDF,
    b"CDF\x05": FileForm.NETCDF,
    b"Obj\x01": FileForm.AVRO,
    b"MATLAB 5.0 MAT-file": FileForm.MATLAB,
    b"\x93NUMPY": FileForm.NUMPY,
    b"SQLite format 3\0": FileForm.SQLITE,
    b"<?xml ": FileForm.XML,
    b"<!DOCTYPE html": FileForm.HTML,
    b"<!doctype html": FileForm.HTML,
    b"<html": FileForm.HTML,
}
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""The methods whose memory is bounded; LZMA in a zip archive can ask for 4 GiB."""
_WORKBOOK_MEMBER = "xl/workbook.xml"
_DECOMPRESSION_ERRORS = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def file_form(path: Path) -> FileForm:
    """Return the form of a file. Raises DataError if the file cannot be read."""
    try:
        with path.open("rb") as file:
            first_bytes = file.read(_MAGIC_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    forms = (form for magic, form in _FORM_OF_MAGIC.items() if first_bytes.startswith(magic))
    form = next(forms, FileForm.TEXT)
    return FileForm.EXCEL if form is FileForm.ZIP and _is_workbook(path) else form


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return _WORKBOOK_MEMBER in archive.namelist()
    except (OSError, zipfile.BadZipFile):  # reported when the archive is opened
        return False


@contextmanager
def open_data(path: Path) -> Iterator[BufferedIOBase]:
    """Open a text file to read its bytes, which are decompressed if the file is compressed.

    gzip, bzip2, xz, zstd and a zip archive of one file are decompressed block by block. So the
    decompressed file may have any size, but the memory of the decompressor is limited. Raises
    DataError if the file cannot be read, is damaged, or is neither a text nor compressed; the error
    can also occur while the bytes are read.
    """
    form = file_form(path)
    try:
        with _open_form(path, form) as file:
            yield file
    except _DECOMPRESSION_ERRORS as error:
        raise DataError(f"{path} is damaged or incomplete ({form}): {error}") from error
    except OSError as error:  # includes gzip.BadGzipFile
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def _open_form(path: Path, form: FileForm) -> Iterator[BufferedIOBase]:
    match form:
        case FileForm.TEXT:
            with path.open("rb") as file:
                yield file
        case FileForm.GZIP:
            with gzip.open(path) as file:
                yield cast("BufferedIOBase", file)
        case FileForm.BZIP2:
            with bz2.open(path) as file:
                yield cast("BufferedIOBase", file)
        case FileForm.XZ:
            with path.open("rb") as compressed_file:
                yield open_xz(compressed_file)
        case FileForm.ZSTD:
            with _open_zstd(path) as file:
                yield file
        case FileForm.ZIP:
            with (
                zipfile.ZipFile(path) as archive,
                archive.open(_only_member(path, archive)) as file,
            ):
                yield cast("BufferedIOBase", file)
        case _:
            raise DataError(f"{path} is {form}; wanted a text file such as CSV or JSON lines")


@contextmanager
def _open_zstd(path: Path) -> Iterator[BufferedIOBase]:
    try:
        import zstandard
    except ImportError as error:
        raise DataError(
            f"{path}: reading zstd needs the package zstandard, which is not installed; install "
            'it with `pip install ".[zstd]"` in the folder of this project'
        ) from error
    try:
        with zstandard.open(path, "rb") as file:
            yield file
    except zstandard.ZstdError as error:
        raise DataError(f"{path} is damaged or incomplete ({FileForm.ZSTD}): {error}") from error


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the only file of an archive. Raises DataError if it has more."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        shown_names = ", ".join(member.filename for member in members[:_MAX_SHOWN_MEMBERS])
        raise DataError(
            f"{path} is a zip archive of {len(members)} files ({shown_names}): extract the archive "
            "and give the files as a glob in quotes"
        )
    (member,) = members
    if member.flag_bits & 1:
        raise DataError(f"{path} is a zip archive with a password: extract it first")
    if member.compress_type not in _ZIP_METHODS:
        raise DataError(
            f"{path} is a zip archive with the compression method {member.compress_type}, wanted "
            "deflate or bzip2: extract it first"
        )
    return member
