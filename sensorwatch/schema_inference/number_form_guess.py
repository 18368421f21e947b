"""Guess the decimal and thousands separators of the numbers in a table."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

# By decimal and thousands separator: the numbers that can only have these separators.
_GROUPED_NUMBERS = {
    (".", ","): re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+|[+-]?\d{1,3}(?:,\d{3}){2,}"),
    (",", "."): re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}"),
}
_NUMBER_IN_SPACED_GROUPS = re.compile(
    r"[+-]?\d{1,3}(?P<separator>[ '\u2019\u00a0\u202f])\d{3}"
    r"(?:(?P=separator)\d{3})*(?P<fraction>[.,]\d+)?"
)
_NUMBER_WITH_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?(?:\s*[^\d\s,.][^\d,.]*)?")
_NUMBER_WITH_POINT = re.compile(r"[+-]?\d+\.\d+(?:[eE][+-]?\d+)?(?:\s*[^\d\s,.][^\d,.]*)?")
_POINT_AND_THREE_DIGITS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_COMMA_AND_THREE_DIGITS = re.compile(r"[+-]?\d{1,3},\d{3}")
_MIN_NUMBERS = 8


def guess_separators(cells: Iterable[str], *, delimiter: str) -> tuple[str, str]:
    """Return the decimal separator, and the thousands separator or an empty text."""
    texts = set(cells)
    for separators, pattern in _GROUPED_NUMBERS.items():
        if any(pattern.fullmatch(text) for text in texts):
            return separators
    spaced_matches = [
        match for text in texts if (match := _NUMBER_IN_SPACED_GROUPS.fullmatch(text))
    ]
    if spaced_matches:
        fractions = "".join(match["fraction"] or "" for match in spaced_matches)
        separator = Counter(match["separator"] for match in spaced_matches).most_common(1)[0][0]
        return ("," if "," in fractions else "."), separator
    comma_texts = {text for text in texts if _NUMBER_WITH_COMMA.fullmatch(text)}
    point_texts = {text for text in texts if _NUMBER_WITH_POINT.fullmatch(text)}
    if (
        delimiter == ","
        and comma_texts
        and all(_COMMA_AND_THREE_DIGITS.fullmatch(text) for text in comma_texts)
    ):
        return ".", ","  # in a quoted cell of a file with commas
    return (",", "") if len(comma_texts) > len(point_texts) else (".", "")


def may_have_thousands(cells: Sequence[str]) -> bool:
    """Return whether each number has a point and three digits behind it, as 1.234 has."""
    texts = [cell for cell in cells if cell]
    return len(texts) >= _MIN_NUMBERS and all(map(_POINT_AND_THREE_DIGITS.fullmatch, texts))
