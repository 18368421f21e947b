"""A small compressed file that decompresses to a large one does not fill memory."""

import bz2
import gzip
import io
import lzma
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard

from sensorwatch.common.errors import DataError
from sensorwatch.common.files import xz_stream
from sensorwatch.common.files.json_array import array_elements
from sensorwatch.common.files.rows_of_file import read_batches, read_rows
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.schema_inference.file_inference import infer_file

# A tracer would multiply the time of the readers' inner loops.
pytestmark = pytest.mark.no_cover

MIB = 1 << 20
LARGE_BYTES = 40 * MIB
MAX_PEAK_BYTES = 32 * MIB
SCHEMA = schema_from_plain(
    {"time": {"field": "t", "naive_zone": "UTC"}, "signals": [{"name": "x"}, {"name": "y"}]}
)
HEADER = b"t,x,y\n"
ROW = b"2025-01-01T00:00:00Z,1,2\n"
JSON_ROW = b'{"t": "2025-01-01T00:00:00Z", "x": 1, "y": 2}'


def repeated(unit: bytes) -> bytes:
    return unit * (LARGE_BYTES // len(unit))


CONTENTS: dict[str, Callable[[], bytes]] = {
    "a line without an end": lambda: HEADER + ROW + repeated(b"9"),
    "a line with many cells": lambda: HEADER + ROW + repeated(b"9,"),
    "a header without an end": lambda: repeated(b"t,"),
    "a first row without an end": lambda: HEADER + repeated(b"9,"),
    "a first row behind many comments": lambda: (
        (b" " * 999 + b"\n") * 2000 + HEADER + repeated(b"9")
    ),
    "a row of many lines": lambda: HEADER + ROW + repeated(b'"\n",')[: 9 * MIB // 8],
    "a JSON line without an end": lambda: JSON_ROW + b"\n" + repeated(b'{"a":'),
    "a JSON array with a long element": lambda: b"[" + JSON_ROW + b',"' + repeated(b"x") + b'"]',
    "a JSON array with many levels": lambda: b"[" + JSON_ROW + b"," + repeated(b"["),
    "a JSON array of many elements": lambda: b"[{}" + repeated(b",{}")[: MIB // 4] + b"]",
    "spaces": lambda: b"[" + JSON_ROW + b"," + repeated(b" ") + b"]",
}


def peak_of(read: Callable[[], Iterator[object]]) -> int:
    """Return the largest number of bytes that Python's objects have while rows are read."""
    tracemalloc.start()
    try:
        for _ in read():
            pass
    except DataError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


@pytest.fixture(scope="module", autouse=True)
def _compiled_kernels(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compile the kernels before memory is measured."""
    path = tmp_path_factory.mktemp("kernels") / "rows"
    for content in (HEADER + ROW, b"[" + b",".join([JSON_ROW] * 9) + b"]"):
        path.write_bytes(content)
        assert [len(readings) > 0 for readings, _ in read_batches(path, SCHEMA)]


@pytest.mark.parametrize("name", CONTENTS)
def test_reading_a_row_of_any_size_needs_little_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress(CONTENTS[name](), compresslevel=1))

    assert peak_of(lambda: read_batches(path, SCHEMA)) < MAX_PEAK_BYTES
    assert peak_of(lambda: read_rows(path, SCHEMA)) < MAX_PEAK_BYTES


def zipped(content: bytes, method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("rows.csv", content)
    return file.getvalue()


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "zip": lambda content: zipped(content, zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_no_compression_fills_memory(name: str, tmp_path: Path) -> None:
    content = HEADER + ROW + repeated(b"9") + b"\n" + ROW
    path = tmp_path / "rows"
    path.write_bytes(COMPRESSIONS[name](content))

    assert peak_of(lambda: read_batches(path, SCHEMA)) < MAX_PEAK_BYTES
    assert peak_of(lambda: iter([infer_file(path)])) < MAX_PEAK_BYTES


@pytest.mark.parametrize("first_row", [ROW, b""], ids=["row", "no row"])
def test_a_row_that_is_too_large_is_rejected_and_the_next_one_is_read(
    first_row: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER + first_row + b"9," * MIB + b"\n" + ROW)

    batches = list(read_batches(path, SCHEMA))
    rejections = [rejection for _, rejections in batches for rejection in rejections]

    assert sum(len(readings) for readings, _ in batches) == (2 if first_row else 1)
    assert [rejection.reason for rejection in rejections] == [Reason.TOO_LARGE]
    assert "more than 1048576 characters" in rejections[0].faults[0].detail


def test_a_long_element_of_an_array_is_rejected_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(b"[" + b",".join([JSON_ROW, b'"' + b"x" * 3 * MIB + b'"', JSON_ROW]) + b"]")

    ((readings, rejections),) = read_batches(path, SCHEMA)

    assert readings.index.tolist() == [0, 2]
    assert [rejection.reason for rejection in rejections] == [Reason.TOO_LARGE]


def test_an_array_that_is_longer_than_the_sample_is_inferred(tmp_path: Path) -> None:
    rows = (
        b'{"t": "2025-01-%02dT%02d:%02d:00Z", "x": %d}' % (day, hour, minute, day * minute)
        for day in range(1, 32)
        for hour in range(24)
        for minute in range(60)
    )
    path = tmp_path / "rows.json"
    path.write_bytes(b"[" + b", ".join(rows) + b" " * 4 * MIB + b"]")

    assert infer_file(path).rows == 20_000


@pytest.mark.parametrize(
    "elements", [[b"1"], [b'"]"', b'"\\"]"'], [b"[1, 2]", b"{}", b'{"a": [{}]}'], []], ids=str
)
@pytest.mark.parametrize("block_bytes", [1, 2, 7, 1 << 18])
def test_elements_are_found_in_blocks_of_any_size(elements: list[bytes], block_bytes: int) -> None:
    class Blocks(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, block_bytes) if self.tell() else 2)

    stream = Blocks(b" [" + b" , ".join(elements) + b"\n] \n")

    assert list(array_elements(stream)) == elements


@pytest.mark.parametrize("text", [b"[1", b"[1,", b"[1,]", b"[,1]", b"[1}", b"[1] 2", b'["]'])
def test_a_text_that_is_not_an_array_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"array"):
        list(array_elements(io.BytesIO(text)))


def test_an_xz_file_that_asks_for_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.xz"
    path.write_bytes(lzma.compress(HEADER + ROW) + b"\0" * 8 + lzma.compress(ROW))
    assert sum(len(readings) for readings, _ in read_batches(path, SCHEMA)) == 2

    monkeypatch.setattr(xz_stream, "MAX_MEMORY_BYTES", 1 << 16)
    with pytest.raises(DataError, match=r"xz.*[Mm]emory"):
        list(read_batches(path, SCHEMA))


def test_a_row_of_too_many_lines_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER + b'"\n",' * (MIB // 4 + 9))

    rejections = [rejection for _, batch in read_batches(path, SCHEMA) for rejection in batch]

    assert rejections[0].reason is Reason.TOO_LARGE


@pytest.mark.parametrize("name", sorted(COMPRESSIONS.keys() - {"zstd"}))  # zstd has no checksum
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    random_rows = np.random.default_rng(1).integers(0, 10**9, (20_000, 2)).tolist()
    content = HEADER + b"".join(b"2025-01-01T00:00:00Z,%d,%d\n" % tuple(row) for row in random_rows)
    compressed = bytearray(COMPRESSIONS[name](content))
    compressed[len(compressed) // 2 : len(compressed) // 2 + 9] = b"\xff" * 9
    path = tmp_path / "rows"
    path.write_bytes(compressed)

    with pytest.raises(DataError, match="rows"):
        list(read_batches(path, SCHEMA))


def test_a_zip_archive_with_lzma_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.zip"
    path.write_bytes(zipped(HEADER + ROW, zipfile.ZIP_LZMA))

    with pytest.raises(DataError, match="wanted deflate or bzip2"):
        list(read_batches(path, SCHEMA))
