"""A dead letter contains the original bytes and the reason, and never exceeds the size limit."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.kafka.dead_letters import (
    HEADER_PREFIX,
    HEADERS_LOST_HEADER,
    ID_HEADER,
    TRUNCATED_HEADER,
    dead_letters,
)
from sensorwatch.common.kafka.records import Headers, OutgoingMessage
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.rejection import Reason, Rejection, make_fault
from tests.kafka.record_builders import SENT_AT_MS, StoredRecord, UnreadableHeaders, a_payload
from tests.reading_builders import a_schema

FAILED_AT = "2025-02-03T04:05:06Z"
MAX_MESSAGE_BYTES = 1_000_000


def letters_of(
    records: Sequence[StoredRecord], *, limit: int = MAX_MESSAGE_BYTES, failed_at: str = FAILED_AT
) -> list[OutgoingMessage]:
    _, rejections = parse([record.value() for record in records], a_schema())
    return list(
        dead_letters(
            rejections,
            records,
            topic="sensors.dlq",
            group="watchers",
            failed_at=failed_at,
            max_message_bytes=limit,
        )
    )


def replayed_record(letter: OutgoingMessage, offset: int) -> StoredRecord:
    """Return the input record that a replay of a dead letter writes."""
    return StoredRecord(
        letter.value,
        offset,
        stored_partition=1,
        stored_key=letter.key,
        stored_headers=list(letter.headers),
    )


def message_bytes(letter: OutgoingMessage) -> int:
    """Return the size of a message that librdkafka compares with the limit message.max.bytes.

    The size includes key, value, headers and framing.
    """
    headers = sum(len(name.encode()) + len(value or b"") + 10 for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers + 512


def error_fields(headers: Headers) -> dict[str, str]:
    return {
        name.removeprefix(HEADER_PREFIX): (value or b"").decode()
        for name, value in headers
        if name.startswith(HEADER_PREFIX)
    }


def test_key_value_and_headers_are_copied_byte_for_byte() -> None:
    headers = [("trace", b"\xff\x00"), ("trace", b"again"), ("empty", b""), ("no", None)]
    record = StoredRecord(b"\xff{", 42, 3, stored_key=b"\x00\xfe", stored_headers=headers)

    (letter,) = letters_of([record])

    assert (letter.topic, letter.key, letter.value) == ("sensors.dlq", b"\x00\xfe", b"\xff{")
    assert letter.headers[:4] == headers
    assert not {TRUNCATED_HEADER, HEADERS_LOST_HEADER} & set(dict(letter.headers))


def test_a_missing_key_or_value_is_also_missing_in_the_dead_letter() -> None:
    (letter,) = letters_of([StoredRecord(None, stored_key=None)])

    assert (letter.key, letter.value) == (None, None)
    assert error_fields(letter.headers)["code"] == "empty"


def test_a_dead_letter_says_if_the_headers_could_not_be_read() -> None:
    record = UnreadableHeaders(b"{", 42, 3)

    (letter,) = letters_of([record])

    assert (letter.key, letter.value) == (record.key(), b"{")
    assert dict(letter.headers)[HEADERS_LOST_HEADER] == b"a header's name is not UTF-8"
    assert error_fields(letter.headers)["code"] == "not_json"
    (second_letter,) = letters_of([replayed_record(letter, 100)])
    assert [name for name, _ in second_letter.headers].count(HEADERS_LOST_HEADER) == 1


def test_headers_contain_the_origin_and_the_reason() -> None:
    (letter,) = letters_of([StoredRecord(a_payload(x2="much"), 42, 3)])

    assert dict(letter.headers)[ID_HEADER] == b"sensors-3-42"
    assert error_fields(letter.headers) == {
        "topic": "sensors",
        "partition": "3",
        "offset": "42",
        "timestamp": str(SENT_AT_MS),
        "group": "watchers",
        "stage": "validation",
        "code": "wrong_type",
        "message": "x2: found 'much', wanted a number",
        "first_failed_at": FAILED_AT,
        "replay.count": "0",
    }


def test_a_row_that_could_not_be_scored_has_the_stage_scoring() -> None:
    rejection = Rejection(0, (make_fault(Reason.SCORING_FAILED, "", "no finite score"),))

    (letter,) = dead_letters(
        [rejection],
        [StoredRecord(a_payload())],
        topic="sensors.dlq",
        group="watchers",
        failed_at=FAILED_AT,
        max_message_bytes=MAX_MESSAGE_BYTES,
    )

    assert error_fields(letter.headers)["stage"] == "scoring"


def test_only_rejected_records_become_dead_letters_in_order() -> None:
    records = [StoredRecord(value, offset) for offset, value in enumerate([b"{", a_payload(), b""])]

    assert [dict(letter.headers)[ID_HEADER] for letter in letters_of(records)] == [
        b"sensors-0-0",
        b"sensors-0-2",
    ]


def test_a_replayed_dead_letter_keeps_its_origin_and_counts_the_replays() -> None:
    """Each replay is a new input record, so the dead letter's id is that of the replayed record."""
    (letter,) = letters_of([StoredRecord(b"{", 42, 3)])
    for replay_number in (1, 2, 3):
        (letter,) = letters_of(
            [replayed_record(letter, 100 + replay_number)], failed_at="2026-01-01T00:00:00Z"
        )

        fields = error_fields(letter.headers)
        assert (fields["topic"], fields["partition"], fields["offset"]) == ("sensors", "3", "42")
        assert (fields["first_failed_at"], fields["timestamp"]) == (FAILED_AT, str(SENT_AT_MS))
        assert fields["replay.count"] == str(replay_number)
        assert dict(letter.headers)[ID_HEADER] == f"sensors-1-{100 + replay_number}".encode()
        assert len(letter.headers) == 11, "each header occurs once"
        assert letter.value == b"{"


def test_an_invalid_replay_count_of_another_program_counts_as_zero() -> None:
    headers = [(HEADER_PREFIX + "replay.count", b"\xffmany")]

    (letter,) = letters_of([StoredRecord(b"{", stored_headers=headers)])

    assert error_fields(letter.headers)["replay.count"] == "1"


def test_an_origin_header_that_is_too_long_is_replaced() -> None:
    headers = [(HEADER_PREFIX + "topic", b"t" * 50_000)]

    (letter,) = letters_of([StoredRecord(b"{", stored_headers=headers)], limit=20_000)

    assert error_fields(letter.headers)["topic"] == "sensors"
    assert message_bytes(letter) <= 20_000


def test_a_field_name_with_a_lone_surrogate_is_escaped() -> None:
    strict_schema = a_schema().model_copy(update={"unknown_fields": UnknownFields.REJECT})
    record = StoredRecord(b'{"x1": 1e999, "\\ud800": 1}')
    _, rejections = parse([record.value()], strict_schema)
    unknown_field_faults = [
        fault for fault in rejections[0].faults if fault.reason is Reason.UNKNOWN_FIELD
    ]

    (letter,) = dead_letters(
        [Rejection(0, tuple(unknown_field_faults))],
        [record],
        topic="sensors.dlq",
        group="watchers",
        failed_at=FAILED_AT,
        max_message_bytes=MAX_MESSAGE_BYTES,
    )

    assert error_fields(letter.headers)["message"].startswith("\\ud800: ")


def test_a_value_that_is_too_long_is_truncated_and_a_header_says_so() -> None:
    original_value = b"{" * 50_000

    (letter,) = letters_of([StoredRecord(original_value)], limit=20_000)

    assert letter.value is not None
    assert original_value.startswith(letter.value)
    assert len(letter.value) > 10_000
    assert dict(letter.headers)[TRUNCATED_HEADER] == b"value 50000"
    assert message_bytes(letter) <= 20_000


@settings(max_examples=150, deadline=None)
@given(
    value=st.sampled_from([0, 1, 5_000, 9_000, 30_000]),
    key=st.sampled_from([0, 10, 4_000, 30_000]),
    headers=st.lists(
        st.tuples(st.text("aé🦀", max_size=300), st.sampled_from([0, 10, 3_000])), max_size=6
    ),
    limit=st.sampled_from([12_000, 20_000, 60_000]),
)
def test_a_dead_letter_never_exceeds_the_limit_and_names_every_truncated_part(
    value: int, key: int, headers: list[tuple[str, int]], limit: int
) -> None:
    original_headers = [(name, b"h" * length) for name, length in headers]
    record = StoredRecord(b"[" * value, stored_key=b"k" * key, stored_headers=original_headers)

    (letter,) = letters_of([record], limit=limit)

    assert message_bytes(letter) <= limit
    truncated_parts = (dict(letter.headers).get(TRUNCATED_HEADER) or b"").decode()
    assert ("value" in truncated_parts) == (letter.value != record.value())
    assert ("key" in truncated_parts) == (letter.key != record.key())
    assert ("headers" in truncated_parts) == (
        letter.headers[: len(original_headers)] != original_headers
    )
