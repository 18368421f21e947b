"""Escaping of characters that a terminal would interpret, hide or reorder."""

import json
import re
from collections.abc import Callable

_LINE_FEED_AND_TAB = "\n\t"
# str.isprintable() accepts joiners, fillers and variation selectors, although nothing is visible.
_INVISIBLE_CHARACTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def escape(text: str) -> str:
    r"""Return a text as one line that is safe on a terminal and in a log.

    Control characters (C0, C1, DEL), line and paragraph separators, bidirectional controls,
    zero-width characters, lone surrogates and unassigned characters become Python escapes such as
    `\x1b`. All other characters stay unchanged.
    """
    return _escape_unsafe_characters(text, _python_escape)


def escape_lines(text: str) -> str:
    """Escape a text as `escape` does, but keep its line feeds and tabs."""
    return _escape_unsafe_characters(text, _python_escape, kept_characters=_LINE_FEED_AND_TAB)


def escape_json(text: str) -> str:
    r"""Return JSON text that is safe on a terminal and has the same value.

    The escapes are those of JSON, such as `\u001b`. Line feeds and tabs are kept, because JSON
    text contains them only as white space between tokens.
    """
    return _escape_unsafe_characters(
        text, lambda character: json.dumps(character)[1:-1], kept_characters=_LINE_FEED_AND_TAB
    )


def _python_escape(character: str) -> str:
    return ascii(character)[1:-1]


def _escape_unsafe_characters(
    text: str, escape_character: Callable[[str], str], *, kept_characters: str = ""
) -> str:
    if _is_safe(text):
        return text
    return "".join(c if _is_safe(c) or c in kept_characters else escape_character(c) for c in text)


def _is_safe(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _INVISIBLE_CHARACTERS.search(text) is None)
