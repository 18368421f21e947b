"""Guess the decimal and thousands separators of the numbers in a table."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

# For each decimal and thousands separator, the numbers that no other form can explain.
_GROUPED = {
    (".", ","): re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+|[+-]?\d{1,3}(?:,\d{3}){2,}"),
    (",", "."): re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}"),
}
_SPACED = re.compile(
    r"[+-]?\d{1,3}(?P<separator>[ '\u2019\u00a0\u202f])\d{3}"
    r"(?:(?P=separator)\d{3})*(?P<fraction>[.,]\d+)?"
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?(?:\s*[^\d\s,.][^\d,.]*)?")
_DECIMAL_POINT = re.compile(r"[+-]?\d+\.\d+(?:[eE][+-]?\d+)?(?:\s*[^\d\s,.][^\d,.]*)?")
_POINT_AND_THREE = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_MIN_NUMBERS = 8
_THREE_DIGITS = re.compile(r"[+-]?\d{1,3},\d{3}")


def guess_separators(cells: Iterable[str], *, delimiter: str) -> tuple[str, str]:
    """Return the decimal separator, and the thousands separator or an empty text."""
    texts = set(cells)
    for separators, pattern in _GROUPED.items():
        if any(pattern.fullmatch(text) for text in texts):
            return separators
    spaced = [match for text in texts if (match := _SPACED.fullmatch(text))]
    if spaced:
        fractions = "".join(match["fraction"] or "" for match in spaced)
        separator = Counter(match["separator"] for match in spaced).most_common(1)[0][0]
        return ("," if "," in fractions else "."), separator
    commas = {text for text in texts if _DECIMAL_COMMA.fullmatch(text)}
    points = {text for text in texts if _DECIMAL_POINT.fullmatch(text)}
    if delimiter == "," and commas and all(_THREE_DIGITS.fullmatch(text) for text in commas):
        return ".", ","  # in a quoted cell of a file with commas
    return (",", "") if len(commas) > len(points) else (".", "")


def may_have_thousands(cells: Sequence[str]) -> bool:
    """Return whether each number has a point and three digits behind it, as 1.234 has."""
    texts = [cell for cell in cells if cell]
    return len(texts) >= _MIN_NUMBERS and all(_POINT_AND_THREE.fullmatch(text) for text in texts)
