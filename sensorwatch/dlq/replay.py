"""Replays dead letters into the input topic, each of them once."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sensorwatch.common.errors import BrokerUnavailable, MicroBatchAborted, OutcomeUnknown
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.dlq.letter_state import LetterState, ReplayRules, letter_state
from sensorwatch.dlq.letters import DeadLetter
from sensorwatch.dlq.replay_log import ReplayLog, entry_message
from sensorwatch.dlq.selection import LetterSelection

MAX_BATCH_LETTERS = 500
MAX_BATCH_BYTES = 8 << 20
MAX_BATCH_SECONDS = 1.0
"""A transaction begins at the latest this time after the first letter of its batch was prepared. So
a slow program loses little work in a crash."""
MAX_FAILURES = 5
"""The replay ends after this number of failed transactions in a row."""
MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Which dead letters to replay."""

    selection: LetterSelection
    rules: ReplayRules
    max_letters: int | None = None
    """The replay ends after this number of letters; None means all."""


@dataclass(slots=True)
class ReplayReport:
    """What a replay did."""

    states: Counter[LetterState] = field(default_factory=Counter)
    """Number of selected dead letters that were not replayed, by state."""
    replayed: int = 0
    """Number of dead letters that this replay sent."""
    refused: int = 0
    """Number of dead letters that were not corrected by the program of --fix, or are too large."""
    refusals: list[str] = field(default_factory=list)
    """The first reasons for this."""

    @property
    def selected(self) -> int:
        """The number of selected dead letters that were handled."""
        return self.states.total() + self.replayed + self.refused


@dataclass(frozen=True, slots=True)
class ReplayPorts:
    """The inputs and outputs of a replay."""

    read_letters: Callable[[], Iterator[DeadLetter]]
    """Reads the dead letters that existed at the start, always the same ones."""
    read_log: Callable[[], ReplayLog]
    prepare: Callable[[DeadLetter], OutgoingMessage | str]
    """Returns the record that replays a dead letter, or why there is none."""
    publish: Callable[[Sequence[OutgoingMessage]], None]
    """Publishes messages in one transaction. Raises MicroBatchAborted or OutcomeUnknown."""
    log_topic: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic


def replay_letters(request: ReplayRequest, ports: ReplayPorts) -> ReplayReport:
    """Replay the selected dead letters, and return what was done.

    A transaction contains the replayed records and their entries in the replay log. After a failed
    transaction, the log says which letters were replayed, and the replay starts again with the
    others. Raises BrokerUnavailable after MAX_FAILURES failures in a row.
    """
    replayed_count, failures, unconfirmed = 0, 0, list[DeadLetter]()
    while True:
        log = ports.read_log()
        replayed_count += sum(log.entry(letter) is not None for letter in unconfirmed)
        replay_pass = _ReplayPass(request, ports, log, replayed_before=replayed_count)
        try:
            return replay_pass.run()
        except (MicroBatchAborted, OutcomeUnknown) as error:
            failures = 1 if replay_pass.report.replayed > replayed_count else failures + 1
            replayed_count, unconfirmed = replay_pass.report.replayed, replay_pass.batch_letters
            if failures >= MAX_FAILURES:
                raise BrokerUnavailable(
                    f"{failures} transactions in a row failed: {error}. {replayed_count} dead "
                    "letters were replayed. Check the broker and start the same command again: it "
                    "replays no letter twice"
                ) from error


class _ReplayPass:
    """Goes through the dead letters once, with the replay log of the begin of the pass."""

    def __init__(
        self, request: ReplayRequest, ports: ReplayPorts, log: ReplayLog, *, replayed_before: int
    ) -> None:
        self._request = request
        self._ports = ports
        self._log = log
        self.report = ReplayReport(replayed=replayed_before)
        # Letters that an earlier pass of this command sent are in the log now.
        self._sent_by_earlier_pass = replayed_before
        self.batch_letters: list[DeadLetter] = []
        self._batch_messages: list[OutgoingMessage] = []
        self._batch_bytes = 0
        self._batch_begin = 0.0

    def run(self) -> ReplayReport:
        """Replay the letters of the pass, and return the report of the command."""
        for letter in self._ports.read_letters():
            if self._is_limit_reached():
                break
            if not self._request.selection.selects(letter):
                continue
            state = letter_state(letter, self._log, self._request.rules)
            if state is LetterState.WAITING:
                self._add(letter)
            else:
                self.report.states[state] += 1
        self._publish()
        self.report.states[LetterState.REPLAYED] -= self._sent_by_earlier_pass
        return self.report

    def _is_limit_reached(self) -> bool:
        limit = self._request.max_letters
        return limit is not None and self.report.replayed + len(self.batch_letters) >= limit

    def _add(self, letter: DeadLetter) -> None:
        if not self.batch_letters:
            self._batch_begin = self._ports.clock()
        record = self._ports.prepare(letter)
        if isinstance(record, str):
            self.report.refused += 1
            if len(self.report.refusals) < MAX_EXAMPLES:
                self.report.refusals.append(f"{letter.position}: {record}")
        else:
            entry = entry_message(self._ports.log_topic, letter, now=self._ports.now())
            self.batch_letters.append(letter)
            self._batch_messages += [record, entry]
            self._batch_bytes += letter.size
        if self._is_batch_complete():
            self._publish()

    def _is_batch_complete(self) -> bool:
        return (
            len(self.batch_letters) >= MAX_BATCH_LETTERS
            or self._batch_bytes >= MAX_BATCH_BYTES
            or self._ports.clock() - self._batch_begin >= MAX_BATCH_SECONDS
        )

    def _publish(self) -> None:
        if not self.batch_letters:
            return
        self._ports.publish(self._batch_messages)
        self.report.replayed += len(self.batch_letters)
        self.batch_letters, self._batch_messages, self._batch_bytes = [], [], 0
