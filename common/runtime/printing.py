"""Plain output of every command: every text is escaped here."""

import json
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from sensorwatch.common.escaping import escape, escape_json, escape_lines


def print_line(text: str) -> None:
    """Print one line; a line break in the text is escaped."""
    _write(escape(text), sys.stdout)


def print_cells(cells: Iterable[str]) -> None:
    """Print cells on one line, separated by tabs; a tab or line break in a cell is escaped."""
    _write("\t".join(map(escape, cells)), sys.stdout)


def print_text(text: str) -> None:
    """Print a text of several lines; its line feeds and tabs are kept."""
    _write(escape_lines(text), sys.stdout)


def print_note(text: str) -> None:
    """Print a text on standard error; its line feeds and tabs are kept."""
    _write(escape_lines(text), sys.stderr)


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print a plain value as JSON: on one line, or indented for people."""
    _write(escape_json(json.dumps(value, indent=indent, ensure_ascii=False)), sys.stdout)


def json_line(value: bytes) -> bytes:
    r"""Return a JSON document from outside this program as one line that is safe to print.

    The meaning of the JSON document does not change. Bytes that are not UTF-8 become escapes such
    as `\xff`; the line is then not valid JSON.
    """
    text = b" ".join(value.splitlines()).decode(errors="backslashreplace")
    return escape_json(text).encode() + b"\n"


def print_json_line(value: bytes) -> None:
    """Print a JSON document from outside this program on one line."""
    sys.stdout.buffer.write(json_line(value))
    sys.stdout.buffer.flush()


def _write(text: str, stream: TextIO) -> None:
    print(text, file=stream, flush=True)
