"""Exclude the time patterns that cannot read a text, without a call of strptime.

The first call of strptime with a pattern compiles a regular expression, which takes a millisecond.
"""

import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

_DIRECTIVE = re.compile(r"%\w")
_NAMES = frozenset({"%a", "%b", "%B"})
"""Directives that read a name of a day or month, which contains a letter."""
_WITH_SEPARATORS = _NAMES | {"%p", "%z"}
"""Directives that may read separators: zones such as `-05:30`, and names of some languages."""
_SEPARATORS = "/,:.-"


class _Literals(NamedTuple):
    """The characters between the directives of a pattern."""

    counts: Counter[str]
    """How often the pattern contains each character, in lower case."""
    has_name: bool
    has_only_these_separators: bool
    """True if a text must not contain more separators than the pattern."""


def may_read(pattern: str, text: str) -> bool:
    """Return False if strptime cannot read `text` with `pattern`; True means that it may read it.

    >>> may_read("%d.%m.%Y", "2025-01-31"), may_read("%d-%m-%Y", "2025-01-31")
    (False, True)
    """
    literals, counts = _literals(pattern), _character_counts(text)
    if any(counts[character] < count for character, count in literals.counts.items()):
        return False
    if literals.has_name and not any(map(str.isalpha, text)):
        return False
    return not literals.has_only_these_separators or all(
        counts[separator] == literals.counts[separator] for separator in _SEPARATORS
    )


@lru_cache(maxsize=1024)
def _literals(pattern: str) -> _Literals:
    directives = set(_DIRECTIVE.findall(pattern))
    return _Literals(
        Counter(_DIRECTIVE.sub("", pattern).lower()),
        has_name=not _NAMES.isdisjoint(directives),
        has_only_these_separators=_WITH_SEPARATORS.isdisjoint(directives),
    )


@lru_cache(maxsize=16)
def _character_counts(text: str) -> Counter[str]:
    """Count the characters in lower case; each white space counts as a space, as in strptime."""
    return Counter("".join(" " if c.isspace() else c for c in text).lower())
