"""A stream of the bytes of an xz file, with a limit for the memory of the decompressor."""

import io
import lzma

MAX_MEMORY_BYTES = 256 << 20
"""Limit for the decompressor. The highest level of xz needs 65 MiB; a file can ask for 4 GiB."""
_BLOCK_BYTES = 1 << 16


def open_xz(file: io.BufferedIOBase) -> io.BufferedReader:
    """Return the decompressed bytes of a file, which may consist of several xz streams.

    Reading raises lzma.LZMAError for damaged bytes and if the limit is exceeded, and EOFError if
    the file ends too early.
    """
    return io.BufferedReader(_XzStream(file))


class _XzStream(io.RawIOBase):
    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self._decompressor = _decompressor()
        self._unread_bytes = b""

    def readable(self) -> bool:
        return True

    # `collections.abc.Buffer`, the type of any buffer, exists only from Python 3.12 on.
    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        block = b""
        while not block:
            if self._decompressor.eof and not self._start_next_stream():
                return 0
            compressed = b""
            if self._decompressor.needs_input:
                compressed = self._unread_bytes or self._file.read(_BLOCK_BYTES)
                self._unread_bytes = b""
                if not compressed:
                    raise EOFError("the file ends before the end of the xz stream")
            block = self._decompressor.decompress(compressed, len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def _start_next_stream(self) -> bool:
        """Return whether another stream follows; there may be zero bytes between two streams."""
        unread_bytes = self._decompressor.unused_data.lstrip(b"\0")
        while not unread_bytes and (block := self._file.read(_BLOCK_BYTES)):
            unread_bytes = block.lstrip(b"\0")
        if not unread_bytes:
            return False
        self._decompressor, self._unread_bytes = _decompressor(), unread_bytes
        return True


def _decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY_BYTES)
