"""The audit log: user, action, time and reason of each change, as a chain of digests.

A line is complete only if it ends in a line break. Bytes after the last line break are a torn line:
the process was killed while it wrote them. The next change to the registry removes a torn line and
adds an entry about the removal. A head file beside the log repeats the number and digest of the
last line, so that a check notices if lines at the end were removed.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sensorwatch.common.registry.durable_files import append_to_file, replace_file

ZERO_DIGEST = "0" * 64
_MAX_SHOWN_BYTES = 200


class Action(StrEnum):
    """The kind of a change to the registry."""

    REGISTER = "register"
    EVALUATE = "evaluate"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    DELETE = "delete"
    POLICY = "policy"
    """A policy was stored, and `policy@current` moved to it."""
    DELETE_POLICY = "delete_policy"
    VERDICT = "verdict"
    """A person judged an episode; the detail has the verdict and what the policy learned."""
    REPAIR = "repair"
    """A torn line was removed."""
    CORRECT = "correct"
    """The folder differed from the log; the entry records the actual state of the folder."""


class AuditEntry(BaseModel):
    """One entry of the audit log."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: Annotated[int, Field(ge=1)]
    when: AwareDatetime
    who: str
    action: Annotated[Action, Field(strict=False)]
    version: str | None
    why: str
    detail: dict[str, Any]
    before: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the previous line including its line break; zeros in the first line."""


class _LogHead(BaseModel):
    """The content of the head file: the last line's number and digest."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class _LogLine:
    text: bytes
    entry: AuditEntry | None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text).hexdigest()


class AuditLog:
    """The audit log of one model; only a process that has the model's lock may write to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head_path = path.with_suffix(".head")

    def entries(self) -> list[AuditEntry]:
        """Return every readable entry."""
        return [line.entry for line in self._read_lines()[0] if line.entry is not None]

    def append(
        self,
        action: Action,
        *,
        when: datetime,
        who: str,
        why: str,
        version: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Append an entry; the caller must have called `repair` before."""
        number, previous_digest = self._last_line()
        entry = AuditEntry(
            number=number + 1,
            when=when,
            who=who,
            action=action,
            version=version,
            why=why,
            detail=detail or {},
            before=previous_digest,
        )
        text = entry.model_dump_json().encode() + b"\n"
        append_to_file(self._path, text)
        head = _LogHead(number=entry.number, sha256=hashlib.sha256(text).hexdigest())
        replace_file(self._head_path, head.model_dump_json().encode() + b"\n")

    def repair(self, *, when: datetime, who: str) -> None:
        """Remove a torn last line, if there is one, and log the removal."""
        lines, torn_line = self._read_lines()
        if not torn_line:
            return
        replace_file(self._path, b"".join(line.text for line in lines))
        torn_text = torn_line[:_MAX_SHOWN_BYTES].decode(errors="backslashreplace")
        self.append(
            Action.REPAIR,
            when=when,
            who=who,
            why=f"a torn line of {len(torn_line)} bytes was removed",
            detail={"torn": torn_text},
        )

    def problems(self) -> list[str]:
        """Return one text for each break in the chain of lines; [] if the chain is intact."""
        lines, torn_line = self._read_lines()
        problems = ["the last line is torn: the next change removes it"] if torn_line else []
        previous_digest, number = ZERO_DIGEST, 0
        for position, line in enumerate(lines, start=1):
            if line.entry is None:
                problems.append(f"line {position} cannot be read")
                number += 1
            else:
                if line.entry.before != previous_digest:
                    problems.append(
                        f"line {position} does not match the digest of the line before it"
                    )
                if line.entry.number != number + 1:
                    problems.append(
                        f"line {position} has number {line.entry.number}: lines are missing"
                    )
                number = line.entry.number
            previous_digest = line.digest
        return problems + self._head_problems(lines, number)

    def _head_problems(self, lines: list[_LogLine], number: int) -> list[str]:
        head_number, digest = self._read_head()
        if head_number > number:
            return [
                f"line {head_number} was written, but the log ends at {number}: lines are missing"
            ]
        digests = [ZERO_DIGEST, *(line.digest for line in lines)]
        # If the process was killed after it wrote a line and before it wrote the head, the head is
        # one line behind.
        expected_digests = {number: digests[-1]} | ({number - 1: digests[-2]} if lines else {})
        if expected_digests.get(head_number) != digest:
            return [f"{self._head_path.name} does not match the end of the log"]
        return []

    def _last_line(self) -> tuple[int, str]:
        """Return the number and digest of the line that was written last."""
        number, digest = self._read_head()
        lines, _ = self._read_lines()
        last_entry = lines[-1].entry if lines else None
        # If the head is one line behind the log, because the process was killed between the two
        # writes, the chain continues from the log. Otherwise the new entry follows the entry that
        # the head file names, so that edited lines at the end of the log do not become part of the
        # chain.
        if last_entry is not None and last_entry.number > number:
            return last_entry.number, lines[-1].digest
        return number, digest

    def _read_lines(self) -> tuple[list[_LogLine], bytes]:
        """Return the complete lines, and the bytes after the last line break."""
        try:
            *texts, torn_line = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return [], b""
        return [_LogLine(text + b"\n", _parse_entry(text)) for text in texts], torn_line

    def _read_head(self) -> tuple[int, str]:
        try:
            head = _LogHead.model_validate_json(self._head_path.read_bytes())
        except (OSError, ValidationError):
            # `problems` reports a missing head if the log has two or more lines.
            return 0, ZERO_DIGEST
        return head.number, head.sha256


def _parse_entry(text: bytes) -> AuditEntry | None:
    try:
        return AuditEntry.model_validate_json(text)
    except ValidationError:
        return None
