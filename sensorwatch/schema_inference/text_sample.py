"""The first lines of a text file, with the guessed encoding."""

import codecs
import re
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.opening import FileForm, file_form, open_data
from sensorwatch.common.files.utf8_stream import split_mark

MAX_LINES = 20_000
MAX_BYTES = 4 << 20
_LINE_END = re.compile(r"\r\n|\r|\n")
_MIN_ZERO_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class TextSample:
    """The beginning of a text file."""

    form: FileForm
    """The compression of the file."""
    encoding: str
    has_mark: bool
    """Whether a byte order mark shows the encoding."""
    content: bytes
    """The decompressed bytes, without a byte order mark."""
    is_cut: bool
    """Whether the file continues after the sample."""
    lines: tuple[str, ...]
    """The lines without their ends; an incomplete last line of the sample is left out."""


def read_text_sample(path: Path, *, encoding: str | None = None) -> TextSample:
    """Return the beginning of a text file.

    `encoding`: the encoding that the user gives; a byte order mark takes precedence. Raises the
    errors of `open_data`, and DataError if there is no such encoding.
    """
    with open_data(path) as file:
        content = file.read(MAX_BYTES + 1)
    is_cut, content = len(content) > MAX_BYTES, content[:MAX_BYTES]
    guessed_encoding, content, has_mark = _guess_encoding(content, is_cut=is_cut)
    encoding = guessed_encoding if has_mark or encoding is None else _known_encoding(encoding)
    text = content.decode(encoding, errors="surrogateescape" if encoding == "utf-8" else "replace")
    lines = _complete_lines(text, is_cut=is_cut)
    return TextSample(file_form(path), encoding, has_mark, content, is_cut, lines)


def first_lines(stream: BufferedIOBase) -> tuple[str, ...]:
    """Return the first lines of a stream of UTF-8, without their ends."""
    content = stream.read(MAX_BYTES + 1)
    text = content[:MAX_BYTES].decode(errors="surrogateescape")
    return _complete_lines(text, is_cut=len(content) > MAX_BYTES)


def _complete_lines(text: str, *, is_cut: bool) -> tuple[str, ...]:
    """Return the first lines of a text; `is_cut`: its last line may be incomplete."""
    lines = _LINE_END.split(text)
    if (is_cut or not lines[-1]) and len(lines) > 1:
        lines.pop()
    return tuple(lines[:MAX_LINES])


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError) as error:
        raise DataError(f"no encoding {name!r}; wanted one such as windows-1252") from error
    return name


def _guess_encoding(content: bytes, *, is_cut: bool) -> tuple[str, bytes, bool]:
    """Return the encoding, the content without a byte order mark, and whether there was a mark."""
    marked_encoding, content = split_mark(content)
    if marked_encoding is not None:
        return marked_encoding, content, True
    half = max(1, len(content) // 2)
    if content[1::2].count(0) > _MIN_ZERO_SHARE * half:
        return "utf-16-le", content, False
    if content[0::2].count(0) > _MIN_ZERO_SHARE * half:
        return "utf-16-be", content, False
    # If the sample ends inside of a character, its bytes are not damaged.
    complete_content = content[:-3] if is_cut else content
    valid_text = complete_content.decode("utf-8", errors="ignore")
    has_invalid_bytes = len(valid_text.encode()) < len(complete_content)
    # A few invalid bytes are damage. If there is no valid character above ASCII either, the text is
    # in another encoding, of which Windows-1252 is the most frequent.
    is_other_encoding = has_invalid_bytes and valid_text.isascii() and b"\xff" not in content
    return ("windows-1252" if is_other_encoding else "utf-8"), content, False
