"""A dead letter keeps the original bytes, says why, and always fits."""

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
from sensorwatch.common.rows.rejection import Reason, Rejection, make_fault
from sensorwatch.common.rows.schema import UnknownFields
from tests.kafka.record_builders import SENT_AT_MS, StoredRecord, UnreadableHeaders, a_payload
from tests.reading_builders import a_schema

NOW = "2025-02-03T04:05:06Z"
LIMIT = 1_000_000


def letters_of(
    records: Sequence[StoredRecord], *, limit: int = LIMIT, failed_at: str = NOW
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


def read_back(letter: OutgoingMessage, offset: int) -> StoredRecord:
    """The letter as a replay puts it on the input topic again."""
    return StoredRecord(
        letter.value,
        offset,
        stored_partition=1,
        stored_key=letter.key,
        stored_headers=list(letter.headers),
    )


def size(letter: OutgoingMessage) -> int:
    """What librdkafka compares with message.max.bytes: key, value, headers, framing."""
    headers = sum(len(name.encode()) + len(value or b"") + 10 for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers + 512


def errors(headers: Headers) -> dict[str, str]:
    return {
        name.removeprefix(HEADER_PREFIX): (value or b"").decode()
        for name, value in headers
        if name.startswith(HEADER_PREFIX)
    }


def test_key_value_and_headers_are_kept_byte_for_byte() -> None:
    headers = [("trace", b"\xff\x00"), ("trace", b"again"), ("empty", b""), ("no", None)]
    record = StoredRecord(b"\xff{", 42, 3, stored_key=b"\x00\xfe", stored_headers=headers)

    (letter,) = letters_of([record])

    assert (letter.topic, letter.key, letter.value) == ("sensors.dlq", b"\x00\xfe", b"\xff{")
    assert letter.headers[:4] == headers
    assert not {TRUNCATED_HEADER, HEADERS_LOST_HEADER} & set(dict(letter.headers))


def test_absent_key_and_value_stay_absent() -> None:
    (letter,) = letters_of([StoredRecord(None, stored_key=None)])

    assert (letter.key, letter.value) == (None, None)
    assert errors(letter.headers)["code"] == "empty"


def test_a_letter_whose_headers_cannot_be_read_says_that_they_are_lost() -> None:
    record = UnreadableHeaders(b"{", 42, 3)

    (letter,) = letters_of([record])

    assert (letter.key, letter.value) == (record.key(), b"{")
    assert dict(letter.headers)[HEADERS_LOST_HEADER] == b"a header's name is not UTF-8"
    assert errors(letter.headers)["code"] == "not_json"
    (replayed,) = letters_of([read_back(letter, 100)])
    assert [name for name, _ in replayed.headers].count(HEADERS_LOST_HEADER) == 1


def test_headers_say_where_from_and_why() -> None:
    (letter,) = letters_of([StoredRecord(a_payload(x2="much"), 42, 3)])

    assert dict(letter.headers)[ID_HEADER] == b"sensors-3-42"
    assert errors(letter.headers) == {
        "topic": "sensors",
        "partition": "3",
        "offset": "42",
        "timestamp": str(SENT_AT_MS),
        "group": "watchers",
        "stage": "validation",
        "code": "wrong_type",
        "message": "x2: found 'much', wanted a number",
        "first_failed_at": NOW,
        "replay.count": "0",
    }


def test_a_row_that_could_not_be_scored_names_that_stage() -> None:
    rejection = Rejection(0, (make_fault(Reason.SCORING_FAILED, "", "no finite score"),))

    (letter,) = dead_letters(
        [rejection],
        [StoredRecord(a_payload())],
        topic="sensors.dlq",
        group="watchers",
        failed_at=NOW,
        max_message_bytes=LIMIT,
    )

    assert errors(letter.headers)["stage"] == "scoring"


def test_only_rejected_records_become_letters_in_their_order() -> None:
    records = [StoredRecord(value, offset) for offset, value in enumerate([b"{", a_payload(), b""])]

    assert [dict(letter.headers)[ID_HEADER] for letter in letters_of(records)] == [
        b"sensors-0-0",
        b"sensors-0-2",
    ]


def test_a_replayed_letter_keeps_its_origin_and_counts_the_replays() -> None:
    """The id is that of the replayed record, because each replay is a new input record."""
    (letter,) = letters_of([StoredRecord(b"{", 42, 3)])
    for replay in (1, 2, 3):
        (letter,) = letters_of([read_back(letter, 100 + replay)], failed_at="2026-01-01T00:00:00Z")

        actual = errors(letter.headers)
        assert (actual["topic"], actual["partition"], actual["offset"]) == ("sensors", "3", "42")
        assert (actual["first_failed_at"], actual["timestamp"]) == (NOW, str(SENT_AT_MS))
        assert actual["replay.count"] == str(replay)
        assert dict(letter.headers)[ID_HEADER] == f"sensors-1-{100 + replay}".encode()
        assert len(letter.headers) == 11, "each header occurs once"
        assert letter.value == b"{"


def test_a_foreign_replay_count_does_no_harm() -> None:
    headers = [(HEADER_PREFIX + "replay.count", b"\xffmany")]

    (letter,) = letters_of([StoredRecord(b"{", stored_headers=headers)])

    assert errors(letter.headers)["replay.count"] == "1"


def test_a_foreign_origin_that_is_too_long_is_not_taken_over() -> None:
    headers = [(HEADER_PREFIX + "topic", b"t" * 50_000)]

    (letter,) = letters_of([StoredRecord(b"{", stored_headers=headers)], limit=20_000)

    assert errors(letter.headers)["topic"] == "sensors"
    assert size(letter) <= 20_000


def test_a_field_with_half_a_surrogate_pair_can_be_named() -> None:
    strict = a_schema().model_copy(update={"unknown_fields": UnknownFields.REJECT})
    record = StoredRecord(b'{"x1": 1e999, "\\ud800": 1}')
    _, rejections = parse([record.value()], strict)
    unknown = [
        one_fault for one_fault in rejections[0].faults if one_fault.reason is Reason.UNKNOWN_FIELD
    ]

    (letter,) = dead_letters(
        [Rejection(0, tuple(unknown))],
        [record],
        topic="sensors.dlq",
        group="watchers",
        failed_at=NOW,
        max_message_bytes=LIMIT,
    )

    assert errors(letter.headers)["message"].startswith("\\ud800: ")


def test_a_value_that_does_not_fit_is_cut_and_says_so() -> None:
    original = b"{" * 50_000

    (letter,) = letters_of([StoredRecord(original)], limit=20_000)

    assert letter.value is not None
    assert original.startswith(letter.value)
    assert len(letter.value) > 10_000
    assert dict(letter.headers)[TRUNCATED_HEADER] == b"value 50000"
    assert size(letter) <= 20_000


@settings(max_examples=150, deadline=None)
@given(
    value=st.sampled_from([0, 1, 5_000, 9_000, 30_000]),
    key=st.sampled_from([0, 10, 4_000, 30_000]),
    headers=st.lists(
        st.tuples(st.text("aé🦀", max_size=300), st.sampled_from([0, 10, 3_000])), max_size=6
    ),
    limit=st.sampled_from([12_000, 20_000, 60_000]),
)
def test_a_letter_always_fits_and_what_is_not_cut_is_whole(
    value: int, key: int, headers: list[tuple[str, int]], limit: int
) -> None:
    original = [(name, b"h" * length) for name, length in headers]
    record = StoredRecord(b"[" * value, stored_key=b"k" * key, stored_headers=original)

    (letter,) = letters_of([record], limit=limit)

    assert size(letter) <= limit
    cut = (dict(letter.headers).get(TRUNCATED_HEADER) or b"").decode()
    assert ("value" in cut) == (letter.value != record.value())
    assert ("key" in cut) == (letter.key != record.key())
    assert ("headers" in cut) == (letter.headers[: len(original)] != original)
