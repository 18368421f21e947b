"""A stream of UTF-8 bytes from a file in any encoding, and from bytes that were read before."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sensorwatch.common.files.opening import open_data

_BLOCK_BYTES = 1 << 18
_ENCODING_OF_MARK = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def utf8_stream(source: io.BufferedIOBase, encoding: str) -> io.BufferedReader:
    """Return a stream of the text in `source` as UTF-8, without a byte order mark.

    `encoding`: encoding of a text without a byte order mark. A byte that the encoding cannot decode
    stays in the stream as it is, so it is not valid UTF-8 and affects only its cell.
    """
    first_block = source.read(_BLOCK_BYTES)
    marked_encoding, first_block = split_mark(first_block)
    encoding = marked_encoding or encoding
    stream = prefixed_stream(first_block, source)
    if codecs.lookup(encoding).name in ("utf-8", "ascii"):
        return stream
    return io.BufferedReader(_TranscodedStream(stream, encoding), _BLOCK_BYTES)


@contextmanager
def open_text(path: Path, encoding: str = "utf-8") -> Iterator[io.TextIOWrapper]:
    """Open a text file, which may be compressed; line ends are kept as they are.

    Raises the errors of `open_data`. A byte that cannot be decoded becomes a lone surrogate.
    """
    with open_data(path) as source:
        yield decoded_text(utf8_stream(source, encoding))


def split_mark(content: bytes) -> tuple[str | None, bytes]:
    """Return the encoding that a byte order mark shows (else None), and the content without it."""
    for mark, encoding in _ENCODING_OF_MARK:
        if content.startswith(mark):
            return encoding, content.removeprefix(mark)
    return None, content


def decoded_text(stream: io.BufferedReader) -> io.TextIOWrapper:
    """Return the text of a stream of UTF-8; line ends are kept as they are."""
    return io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")


def prefixed_stream(prefix: bytes, stream: io.BufferedIOBase) -> io.BufferedReader:
    """Return a stream of `prefix` and then the rest of `stream`."""
    return io.BufferedReader(_PrefixedStream(prefix, stream), _BLOCK_BYTES)


class _PrefixedStream(io.RawIOBase):
    def __init__(self, prefix: bytes, stream: io.BufferedIOBase) -> None:
        self._prefix = memoryview(prefix)
        self._stream = stream

    def readable(self) -> bool:
        return True

    # `collections.abc.Buffer`, the type of any buffer, exists only from Python 3.12 on.
    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if not self._prefix:
            return self._stream.readinto(buffer)
        block, self._prefix = self._prefix[: len(buffer)], self._prefix[len(buffer) :]
        buffer[: len(block)] = block
        return len(block)


class _TranscodedStream(io.RawIOBase):
    def __init__(self, source: io.BufferedIOBase, encoding: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
        self._encoded = memoryview(b"")
        self._is_finished = False

    def readable(self) -> bool:
        return True

    # `collections.abc.Buffer`, the type of any buffer, exists only from Python 3.12 on.
    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        while not self._encoded and not self._is_finished:
            block = self._source.read(_BLOCK_BYTES)
            self._is_finished = not block
            text = self._decode(block)
            self._encoded = memoryview(text.encode("utf-8", errors="surrogateescape"))
        block_length = min(len(buffer), len(self._encoded))
        buffer[:block_length] = self._encoded[:block_length]
        self._encoded = self._encoded[block_length:]
        return block_length

    def _decode(self, block: bytes) -> str:
        try:
            return self._decoder.decode(block, final=self._is_finished)
        except UnicodeDecodeError:  # an encoding such as UTF-16 that does not escape bytes
            self._decoder.reset()
            return "\ufffd"
