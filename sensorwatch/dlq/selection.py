"""Selects dead letters by reason, time, sensor and headers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sensorwatch.common.errors import UsageError
from sensorwatch.dlq.letters import DeadLetter

_FIELDS: Mapping[str, Callable[[DeadLetter], str]] = {
    "reason": lambda letter: letter.reason,
    "message": lambda letter: letter.message,
    "stage": lambda letter: letter.stage,
    "group": lambda letter: letter.group,
    "topic": lambda letter: letter.origin_topic,
    "id": lambda letter: letter.id,
}


@dataclass(frozen=True, slots=True)
class LetterSelection:
    """Conditions on a dead letter, all of which must be true; patterns are shell patterns."""

    fields: tuple[tuple[str, str], ...] = ()
    """Field names of `_FIELDS` with a pattern."""
    headers: tuple[tuple[str, str], ...] = ()
    """Header names with a pattern."""
    sensor: str = "*"
    """Pattern of the key. A letter without a key is selected only by `*`."""
    since: int | None = None
    """Earliest time of the last rejection, in microseconds UTC."""

    def selects(self, letter: DeadLetter) -> bool:
        """Return whether a dead letter fulfils all conditions."""
        return (
            all(fnmatchcase(_FIELDS[name](letter), pattern) for name, pattern in self.fields)
            and all(fnmatchcase(letter.text(name), pattern) for name, pattern in self.headers)
            and (self.sensor == "*" or fnmatchcase(letter.sensor or "", self.sensor))
            and (self.since is None or (letter.rejected_at or 0) >= self.since)
        )


def letter_selection(
    *, where: Sequence[str], headers: Sequence[str], sensor: str, since: int | None
) -> LetterSelection:
    """Return a selection from the options of a command.

    `where`, `headers`: texts `NAME=PATTERN`. Raises UsageError if a text has no `=`, or if `where`
    has an unknown field.
    """
    fields = tuple(_name_and_pattern("--where", text) for text in where)
    for name, _ in fields:
        if name not in _FIELDS:
            raise UsageError(
                f'--where: found the field "{name}", wanted one of {", ".join(_FIELDS)}'
            )
    header_patterns = tuple(_name_and_pattern("--header", text) for text in headers)
    return LetterSelection(fields, header_patterns, sensor, since)


def _name_and_pattern(option: str, text: str) -> tuple[str, str]:
    name, separator, pattern = text.partition("=")
    if not separator or not name:
        raise UsageError(f'{option}: found "{text}", wanted NAME=PATTERN, such as reason=not_json')
    return name, pattern
