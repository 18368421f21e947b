"""A replay sends each dead letter once, counts the attempts, and ends."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
import pytest

from sensorwatch.common.errors import (
    BrokerUnavailable,
    MicroBatchAborted,
    OutcomeUnknown,
    SensorwatchError,
    UsageError,
)
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.dlq import replay as replay_module
from sensorwatch.dlq.letter_state import LetterState, ReplayRules, letter_state
from sensorwatch.dlq.letters import DeadLetter, dead_letter_of
from sensorwatch.dlq.replay import ReplayPorts, ReplayReport, ReplayRequest, replay_letters
from sensorwatch.dlq.replay_connection import record_maker
from sensorwatch.dlq.replay_log import ReplayEntry, ReplayLog, entry_message
from sensorwatch.dlq.replayed_record import InputTopic, replayed_record
from sensorwatch.dlq.selection import LetterSelection, letter_selection
from tests.dlq.letter_builders import a_letter, letter_messages, stored
from tests.kafka.record_builders import StoredRecord, UnreadableHeaders, a_payload

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SENSORS = InputTopic("sensors", 4, keeps_timestamps=False, max_message_bytes=1_000_000)
LOG_TOPIC = "sensors.dlq.replays"


@dataclass
class FakeTopics:
    """The dead letters, the input and the replay log, in memory."""

    letters: list[DeadLetter]
    failures: list[SensorwatchError | None] = field(default_factory=list)
    """The errors of the next transactions. OutcomeUnknown is raised after the commit."""
    sent: list[OutgoingMessage] = field(default_factory=list)
    entries: dict[str, ReplayEntry] = field(default_factory=dict)
    transaction_sizes: list[int] = field(default_factory=list)

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        error = self.failures.pop(0) if self.failures else None
        if isinstance(error, MicroBatchAborted):
            raise error
        records = [message for message in messages if message.topic == "sensors"]
        self.transaction_sizes.append(len(records))
        self.sent += records
        for message in messages:
            if message.topic == LOG_TOPIC:
                assert message.key is not None
                assert message.value is not None
                entry = msgspec.json.decode(message.value, type=ReplayEntry)
                self.entries[message.key.decode()] = entry
        if error is not None:
            raise error

    def replay(
        self,
        *,
        max_attempts: int = 3,
        max_letters: int | None = None,
        selection: LetterSelection | None = None,
        prepare: Callable[[DeadLetter], OutgoingMessage | str] | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> ReplayReport:
        letters = list(self.letters)

        def read_letters() -> Iterator[DeadLetter]:
            return iter(letters)

        ports = ReplayPorts(
            read_letters,
            lambda: ReplayLog(dict(self.entries)),
            prepare or (lambda letter: replayed_record(letter, SENSORS)),
            self.publish,
            LOG_TOPIC,
            now=lambda: NOW,
            clock=clock,
        )
        request = ReplayRequest(
            selection or LetterSelection(), ReplayRules(max_attempts), max_letters
        )
        return replay_letters(request, ports)

    def reject_the_input(self, *, first_offset: int) -> int:
        """Reject the sent records as the consumer does; return the number of new dead letters."""
        records = [stored(message, first_offset + n) for n, message in enumerate(self.sent)]
        self.sent.clear()
        new_messages = letter_messages(records)
        for message in new_messages:
            offset = len(self.letters)
            self.letters.append(dead_letter_of(stored(message, offset)))
        return len(new_messages)


def bad_letters(count: int) -> list[DeadLetter]:
    return [
        a_letter(StoredRecord(b"{%d" % n, 100 + n, n % 4, stored_key=b"pump-%d" % n), offset=n)
        for n in range(count)
    ]


def sent_values(topics: FakeTopics) -> list[bytes | None]:
    return [message.value for message in topics.sent]


def test_a_second_replay_sends_nothing() -> None:
    topics = FakeTopics(bad_letters(5))

    first, second = topics.replay(), topics.replay()

    assert sent_values(topics) == [b"{0", b"{1", b"{2", b"{3", b"{4"]
    assert (first.replayed, first.selected) == (5, 5)
    assert (second.replayed, second.states) == (0, Counter({LetterState.REPLAYED: 5}))


@pytest.mark.parametrize("first_failure", [MicroBatchAborted("x"), OutcomeUnknown("x")])
def test_after_a_failed_transaction_no_letter_is_sent_twice_and_none_is_missing(
    first_failure: SensorwatchError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OutcomeUnknown is raised although the transaction was committed."""
    monkeypatch.setattr(replay_module, "MAX_BATCH_LETTERS", 2)
    topics = FakeTopics(bad_letters(5), failures=[None, first_failure, OutcomeUnknown("y")])

    report = topics.replay()

    assert sorted(value or b"" for value in sent_values(topics)) == [b"{%d" % n for n in range(5)]
    assert (report.replayed, report.selected) == (5, 5)


def test_a_replay_ends_if_transactions_fail_again_and_again() -> None:
    topics = FakeTopics(bad_letters(1), failures=[MicroBatchAborted("no luck")] * 9)

    with pytest.raises(BrokerUnavailable, match=r"5 transactions in a row failed: no luck"):
        topics.replay()

    assert not topics.sent


def test_a_record_that_always_fails_is_replayed_at_most_max_attempts_times() -> None:
    """Each replay is rejected, which gives a new dead letter with a higher number of attempts."""
    topics = FakeTopics(bad_letters(3))
    replayed_counts = []
    for round_number in range(6):
        replayed_counts.append(topics.replay(max_attempts=2).replayed)
        topics.reject_the_input(first_offset=1_000 * (round_number + 1))

    assert replayed_counts == [3, 3, 0, 0, 0, 0]
    assert [letter.attempts for letter in topics.letters] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert topics.replay(max_attempts=2).states == Counter(
        {LetterState.REPLAYED: 6, LetterState.QUARANTINED: 3}
    )
    assert topics.replay(max_attempts=3).replayed == 3, "a higher limit ends the quarantine"


def test_letters_that_were_not_selected_can_be_replayed_later() -> None:
    topics = FakeTopics(bad_letters(4))

    first = topics.replay(selection=LetterSelection(sensor="pump-[23]"))
    second = topics.replay()

    assert (first.replayed, second.replayed) == (2, 2)
    assert sent_values(topics) == [b"{2", b"{3", b"{0", b"{1"]


def test_a_limit_ends_the_replay_and_the_next_one_continues() -> None:
    topics = FakeTopics(bad_letters(5))

    assert [topics.replay(max_letters=2).replayed for _ in range(4)] == [2, 2, 1, 0]


def test_a_slow_program_gets_a_transaction_for_each_second() -> None:
    topics = FakeTopics(bad_letters(4))
    times = iter(number * 0.4 for number in range(100))

    topics.replay(clock=lambda: next(times))

    assert topics.transaction_sizes == [3, 1]


def test_a_letter_that_the_program_did_not_correct_stays_and_is_reported() -> None:
    topics = FakeTopics(bad_letters(3))

    def prepare(letter: DeadLetter) -> OutgoingMessage | str:
        return "exit code 1" if letter.offset == 1 else replayed_record(letter, SENSORS)

    report = topics.replay(prepare=prepare)

    assert (report.replayed, report.refused) == (2, 1)
    assert report.refusals == ["0:1: exit code 1"]
    assert topics.replay().replayed == 1


def test_the_replay_log_ignores_entries_of_an_earlier_topic_and_deletes_old_ones() -> None:
    letter = a_letter(StoredRecord(b"{", 42, 3), offset=7)
    entries = {"0:7": ReplayEntry("other-3-42", 1, NOW), "0:2": ReplayEntry("sensors-3-1", 1, NOW)}
    log = ReplayLog(entries)

    assert log.entry(letter) is None
    assert ReplayLog({"0:7": ReplayEntry("sensors-3-42", 1, NOW)}).entry(letter) is not None
    assert [(m.key, m.value) for m in log.deletions(LOG_TOPIC, {0: 5})] == [(b"0:2", None)]
    message = entry_message(LOG_TOPIC, letter, now=NOW)
    assert (message.key, message.partition) == (b"0:7", 0)


def test_incomplete_letters_are_not_replayed() -> None:
    long_value = a_letter(StoredRecord(b"{" * 50_000), limit=20_000)
    long_key = a_letter(StoredRecord(b"{", stored_key=b"k" * 50_000), limit=20_000)
    rows = a_letter(StoredRecord(b"{"))
    assert rows.headers is not None
    rows.headers.append(("__dlq.errors.rows", b"1,2"))
    (message,) = letter_messages([UnreadableHeaders(b"{", 42, 3)])
    lost_headers = dead_letter_of(stored(message, 0))
    log, rules = ReplayLog({}), ReplayRules(3)
    with_fix = ReplayRules(3, include_partial=True, has_fix=True)

    states = [
        [letter_state(letter, log, each) for each in (rules, with_fix)]
        for letter in (long_value, long_key, rows, lost_headers)
    ]

    assert states == [
        [LetterState.TRUNCATED, LetterState.WAITING],
        [LetterState.TRUNCATED, LetterState.TRUNCATED],
        [LetterState.PARTIAL, LetterState.WAITING],
        [LetterState.WAITING, LetterState.WAITING],
    ]


def test_a_replayed_record_has_the_key_the_headers_and_the_partition_of_its_origin() -> None:
    record = StoredRecord(b"{", 42, 3, stored_key=b"\xff", stored_headers=[("trace", b"\x00")])
    letter = a_letter(record)

    message = replayed_record(letter, SENSORS)
    fixed = replayed_record(letter, SENSORS, fixed=("fix.sh", b"{}"))

    assert (message.topic, message.key, message.value) == ("sensors", b"\xff", b"{")
    assert message.headers == letter.headers
    assert (message.partition, message.timestamp_ms) == (3, None)
    assert (fixed.value, fixed.headers) == (b"{}", [*message.headers, ("__dlq.fixed", b"fix.sh")])
    assert replayed_record(letter, replace(SENSORS, partitions=3, keeps_timestamps=True)) == (
        OutgoingMessage("sensors", b"\xff", b"{", message.headers, None, 1_735_689_600_000)
    )
    assert replayed_record(letter, replace(SENSORS, name="other")).partition is None


def test_a_record_that_the_topic_does_not_accept_is_not_sent() -> None:
    """Such a record would abort each transaction, so that no other letter could be replayed."""
    letter = a_letter(StoredRecord(b"[" * 5_000))
    small_topic = replace(SENSORS, max_message_bytes=5_500)

    refusal = record_maker(small_topic, None)(letter)

    assert isinstance(refusal, str)
    assert refusal.endswith("bytes with its headers, and sensors accepts 5500")
    assert isinstance(record_maker(SENSORS, None)(letter), OutgoingMessage)


def test_a_record_of_another_program_gets_a_count_so_that_its_attempts_are_counted() -> None:
    letter = DeadLetter(0, 0, None, None, b"{", [])

    message = replayed_record(letter, SENSORS)

    assert message.headers == [("__dlq.errors.replay.count", b"0")]
    assert a_letter(stored(message, 9)).attempts == 1


def test_a_selection_needs_all_its_conditions() -> None:
    letter = a_letter(StoredRecord(a_payload(x2="much"), 42, 3, stored_headers=[("gw", b"north")]))

    def is_selected(
        *where: str, header: str = "gw=*", sensor: str = "*", since: int | None = None
    ) -> bool:
        return letter_selection(where=where, headers=[header], sensor=sensor, since=since).selects(
            letter
        )

    assert is_selected("reason=wrong_type", "message=x2:*", "id=sensors-3-*", sensor="pump-?")
    assert is_selected("stage=validation", header="gw=n*", since=1_735_689_600_000_000)
    assert not is_selected("reason=wrong_type", "group=others")
    assert not is_selected(header="gw=south")
    assert not is_selected(sensor="fan-*")
    assert not is_selected(since=1_735_689_600_000_001)


@pytest.mark.parametrize("text", ["reason", "=x", "colour=red"])
def test_a_condition_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="--where: found"):
        letter_selection(where=[text], headers=[], sensor="*", since=None)
