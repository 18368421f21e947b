"""Escapes for characters that a terminal obeys, hides or reorders."""

import json
import re
from collections.abc import Callable

_LAYOUT = "\n\t"
# Zero-width or blank, although str.isprintable() accepts them: joiners, fillers, selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def escaped(text: str) -> str:
    r"""Return a text as one line that is safe on a terminal and in a log.

    Control characters (C0, C1, DEL), line and paragraph separators, bidirectional controls,
    zero-width characters, lone surrogates and unassigned characters become Python escapes such as
    `\x1b`. All other characters are returned as they are.
    """
    return _replaced(text, _python_escape)


def escaped_lines(text: str) -> str:
    """Return a text like `escaped`, but keep its line feeds and tabs."""
    return _replaced(text, _python_escape, keep=_LAYOUT)


def escaped_json(text: str) -> str:
    r"""Return JSON text that is safe on a terminal and has the same value.

    The escapes are those of JSON, such as `\u001b`. Line feeds and tabs are kept: they occur
    between the tokens only, as white space.
    """
    return _replaced(text, lambda character: json.dumps(character)[1:-1], keep=_LAYOUT)


def _python_escape(character: str) -> str:
    return ascii(character)[1:-1]


def _replaced(text: str, escape: Callable[[str], str], *, keep: str = "") -> str:
    if _is_safe(text):
        return text
    return "".join(c if _is_safe(c) or c in keep else escape(c) for c in text)


def _is_safe(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _INVISIBLE.search(text) is None)
