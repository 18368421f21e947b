"""Shows dead letters as text and as JSON values. The bytes of a record are always escaped."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sensorwatch.dlq.letter_state import LetterState
from sensorwatch.dlq.letters import DeadLetter, bytes_text
from sensorwatch.dlq.reasons import ReasonSummary
from sensorwatch.dlq.replay import ReplayReport

REASON_COLUMNS = (
    *("reason", "letters", "waiting", "replayed", "quarantined", "not complete"),
    *("oldest", "newest", "example"),
)
_MAX_SHOWN_BYTES = 4_096
_STATE_TEXTS = {
    LetterState.REPLAYED: "were replayed before",
    LetterState.QUARANTINED: "were rejected again after each replay: raise --max-attempts",
    LetterState.PARTIAL: "have other rows that were scored: --include-partial scores them again",
    LetterState.TRUNCATED: "do not have all bytes of the record: send the record again",
}


def reason_cells(summary: ReasonSummary) -> list[str]:
    """Return a summary as the cells of REASON_COLUMNS."""
    states = summary.states
    example = summary.examples[0]
    return [
        summary.reason,
        str(summary.count),
        str(states[LetterState.WAITING]),
        str(states[LetterState.REPLAYED]),
        str(states[LetterState.QUARANTINED]),
        str(states[LetterState.PARTIAL] + states[LetterState.TRUNCATED]),
        _time_text(summary.oldest),
        _time_text(summary.newest),
        f"{example.position} {example.message}",
    ]


def reason_values(summary: ReasonSummary) -> dict[str, Any]:
    """Return a summary as JSON values."""
    return {
        "reason": summary.reason,
        "letters": summary.count,
        "states": {state.value: summary.states[state] for state in LetterState},
        "oldest": _time_text(summary.oldest),
        "newest": _time_text(summary.newest),
        "examples": [
            {
                "position": letter.position,
                "id": letter.id,
                "key": letter.sensor,
                "message": letter.message,
                "attempts": letter.attempts,
            }
            for letter in summary.examples
        ],
    }


def letter_lines(letter: DeadLetter, state: LetterState, *, is_complete: bool) -> Iterator[str]:
    """Yield the lines that describe a dead letter; a value may be shortened."""
    yield f"dead letter {letter.position}, {state}"
    yield f"  reason: {letter.reason}: {letter.message}"
    yield f"  rejected: {_time_text(letter.rejected_at)} by {letter.group} ({letter.stage})"
    yield f"  record: {letter.id}"
    yield (
        f"  first rejected: {letter.first_failed_at}, {letter.origin_topic}-"
        f"{letter.origin_partition}-{letter.origin_offset}, replayed {letter.attempts} times since"
    )
    if letter.rejected_rows:
        yield f"  rejected rows: {letter.rejected_rows}; the other rows were scored"
    if letter.truncated:
        yield f"  cut: {letter.truncated}"
    yield f"  key: {_content_text(letter.key, is_complete=is_complete)}"
    for name, value in letter.headers or []:
        yield f"  header {name}: {_content_text(value, is_complete=is_complete)}"
    if letter.headers is None:
        yield "  headers: the client cannot read them"
    yield f"  value ({len(letter.value or b'')} bytes):"
    yield _content_text(letter.value, is_complete=is_complete)


def letter_values(letter: DeadLetter, state: LetterState) -> dict[str, Any]:
    """Return a dead letter as JSON values. The contents are in base64, so that no byte is lost."""
    return {
        "position": letter.position,
        "state": state.value,
        "id": letter.id,
        "reason": letter.reason,
        "message": letter.message,
        "stage": letter.stage,
        "group": letter.group,
        "rejected_at": _time_text(letter.rejected_at),
        "first_failed_at": letter.first_failed_at,
        "origin": {
            "topic": letter.origin_topic,
            "partition": letter.origin_partition,
            "offset": letter.origin_offset,
            "timestamp_ms": letter.origin_timestamp_ms,
        },
        "attempts": letter.attempts,
        "rejected_rows": letter.rejected_rows,
        "truncated": letter.truncated,
        "key_base64": _base64(letter.key),
        "value_base64": _base64(letter.value),
        "headers": [
            {"name": name, "value_base64": _base64(value)} for name, value in letter.headers or []
        ],
    }


def report_lines(report: ReplayReport, topic: str, *, is_dry_run: bool) -> Iterator[str]:
    """Yield the lines that describe a replay into a topic."""
    verb = "would be replayed" if is_dry_run else "replayed"
    yield f"{report.replayed} of {report.selected} selected dead letters {verb} into {topic}"
    for state, text in _STATE_TEXTS.items():
        if report.states[state]:
            yield f"  {report.states[state]} {text}"
    if report.refused:
        yield f"  {report.refused} cannot be sent, for example:"
        yield from (f"    {refusal}" for refusal in report.refusals)


def report_values(report: ReplayReport, topic: str, *, is_dry_run: bool) -> dict[str, Any]:
    """Return what a replay did as JSON values."""
    return {
        "topic": topic,
        "dry_run": is_dry_run,
        "selected": report.selected,
        "replayed": report.replayed,
        "left": {
            state.value: report.states[state]
            for state in LetterState
            if state is not LetterState.WAITING
        },
        "refused": report.refused,
        "refusals": report.refusals,
    }


def _content_text(content: bytes | None, *, is_complete: bool) -> str:
    """Return bytes as text for people. The caller escapes its control characters."""
    if content is None:
        return "(none)"
    if is_complete or len(content) <= _MAX_SHOWN_BYTES:
        return bytes_text(content)
    rest = len(content) - _MAX_SHOWN_BYTES
    return f"{bytes_text(content[:_MAX_SHOWN_BYTES])}... ({rest} more bytes: use --complete)"


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _time_text(microseconds: int | None) -> str:
    if microseconds is None:
        return "-"
    try:
        time = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(microseconds)
    return time.isoformat().replace("+00:00", "Z")
