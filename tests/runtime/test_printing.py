"""Printed texts of unknown origin cannot control the terminal or add lines."""

import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.escaping import escape, escape_json, escape_lines
from sensorwatch.common.runtime import printing
from sensorwatch.common.runtime.console import SafeConsole, styled

HOSTILE_CHARACTERS = {
    "a C0 control": ("\x1b[31m", r"\x1b[31m"),
    "a line feed": ("a\nb", r"a\nb"),
    "a carriage return": ("a\rb", r"a\rb"),
    "a tab": ("a\tb", r"a\tb"),
    "DEL": ("\x7f", r"\x7f"),
    "a C1 control": ("\x9b2J", r"\x9b2J"),
    "a next line": ("\x85", r"\x85"),
    "a line separator": ("\u2028", r"\u2028"),
    "a paragraph separator": ("\u2029", r"\u2029"),
    "a bidirectional override": ("\u202e", r"\u202e"),
    "a bidirectional isolate": ("\u2066", r"\u2066"),
    "a zero-width space": ("\u200b", r"\u200b"),
    "a zero-width joiner": ("\u200d", r"\u200d"),
    "a byte order mark": ("\ufeff", r"\ufeff"),
    "a combining joiner": ("\u034f", r"\u034f"),
    "a filler": ("\u3164", r"\u3164"),
    "a variation selector": ("\ufe0f", r"\ufe0f"),
    "a tag": ("\U000e0041", r"\U000e0041"),
    "a lone surrogate": ("\udc9b", r"\udc9b"),
}
READABLE_TEXT = "pump 7 [red]\\ Ärger °C 温度 \N{JACK-O-LANTERN}"
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)


def is_safe(text: str) -> bool:
    """Return True if a text has no control, format, line separator or surrogate characters."""
    return not any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text
    )


@pytest.mark.parametrize(("text", "expected"), HOSTILE_CHARACTERS.values(), ids=HOSTILE_CHARACTERS)
def test_a_hostile_character_becomes_its_escape(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_a_readable_text_is_printed_unchanged() -> None:
    assert (
        escape(READABLE_TEXT)
        == escape_lines(READABLE_TEXT)
        == escape_json(READABLE_TEXT)
        == READABLE_TEXT
    )


def test_a_text_of_several_lines_keeps_only_its_line_feeds_and_tabs() -> None:
    assert escape_lines("a\n\tb\r\x0b\x85\u2028c") == "a\n\tb\\r\\x0b\\x85\\u2028c"


@given(TEXTS)
def test_an_escaped_text_contains_no_control_character(text: str) -> None:
    assert is_safe(escape(text))
    assert is_safe(escape_lines(text).replace("\n", "").replace("\t", ""))


@given(TEXTS)
def test_escaped_json_has_the_same_value(text: str) -> None:
    json_text = escape_json(json.dumps({text: [text]}, ensure_ascii=False, indent="\t"))

    assert json.loads(json_text) == {text: [text]}
    assert is_safe(json_text.replace("\n", "").replace("\t", ""))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ('{"id":"a\x9b\u202e\U000e0041"}'.encode(), b'{"id":"a\\u009b\\u202e\\udb40\\udc41"}\n'),
        ('{\r\n "id":\t"Ä"\r}'.encode(), '{  "id":\t"Ä" }\n'.encode()),
        (b"\xff\x9b\xc3", b"\\xff\\x9b\\xc3\n"),
        (b"\x1b[2J\n\x00", b"\\u001b[2J \\u0000\n"),
    ],
    ids=["escapes", "white space", "incomplete UTF-8", "no JSON"],
)
def test_any_value_is_printed_as_one_safe_json_line(value: bytes, line: bytes) -> None:
    assert printing.json_line(value) == line


def test_every_print_function_escapes_its_text(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    printing.print_line("a\x1b\nb")
    printing.print_cells(["a\tb", "\x9bc"])
    printing.print_text("a\n\tb\x1b")
    printing.print_json({"a\x7f": "\u202e"})
    printing.print_json_line(b'"\xc2\x9b"')
    printing.print_note("a\n\tb\x1b")

    output = capsysbinary.readouterr()
    assert output.out.decode().splitlines() == [
        r"a\x1b\nb",
        "a\\tb\t\\x9bc",
        "a",
        "\tb\\x1b",
        r'{"a\u007f": "\u202e"}',
        r'"\u009b"',
    ]
    assert output.err == b"a\n\tb\\x1b\n"


def test_a_console_interprets_no_markup_and_escapes_styled_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    SafeConsole().print("[bold]a[/] :bomb:", "\x9b", styled("\x1b[0m", ("[red]b", "bold")))

    assert stream.getvalue() == "[bold]a[/] :bomb: \\x9b \\x1b[0m[red]b\n"
