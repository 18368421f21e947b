"""A score record contains the aggregates of rows, and a damaged record is refused."""

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.score_records import (
    ScoreRecord,
    decode_scores,
    encode_scores,
    score_messages,
)
from sensorwatch.common.scoring.score_aggregates import ScoreAggregates, merge_aggregates
from tests.docs.markdown_pages import all_blocks
from tests.scoring.plain_aggregates import ScoredRow, assert_same_aggregates, plain_aggregates


def a_record(*, sensors: int = 3) -> ScoreRecord:
    """Return the record of two rows of each sensor."""
    rows = [
        ScoredRow(
            sensor_id=f"sensor-{number % sensors} \N{DEGREE SIGN}",
            time=1_700_000_000_000_000 + number,
            offset=2**40 + number,
            score=number / 2,
            severity=number % 3,
            values=(float(number), float("nan")),
        )
        for number in range(2 * sensors)
    ]
    return ScoreRecord("g", Partition("readings", 3), "pumps-0007", plain_aggregates(rows))


def with_header(value: bytes, **changes: object) -> bytes:
    """Return a record with a changed header."""
    (length,) = struct.unpack_from("<I", value)
    header = {**json.loads(value[4 : 4 + length]), **changes}
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + value[4 + length :]


@pytest.mark.parametrize("sensors", [0, 1, 5])
def test_a_decoded_record_is_the_encoded_record(sensors: int) -> None:
    record = a_record(sensors=sensors)

    decoded = decode_scores(encode_scores(record))

    assert replace(decoded, aggregates=record.aggregates) == record
    assert_same_aggregates(decoded.aggregates, record.aggregates)


def test_the_function_in_the_documents_reads_a_record() -> None:
    record = a_record(sensors=5)
    (block,) = (block for block in all_blocks("python") if "def read_score_record" in block.text)
    functions: dict[str, Any] = {}
    exec(block.text, functions)

    header, columns = functions["read_score_record"](encode_scores(record))

    assert (header["scores_version"], header["topic"], header["partition"]) == (1, "readings", 3)
    assert header["model_version"] == record.model_version
    aggregates = ScoreAggregates(tuple(header["signals"]), tuple(header["sensors"]), **columns)
    assert_same_aggregates(aggregates, record.aggregates)


@pytest.mark.parametrize("max_bytes", [500, 1_000, 3_000, 1_000_000])
def test_a_large_record_is_divided_into_records_of_at_most_the_limit(max_bytes: int) -> None:
    record = a_record(sensors=40)

    messages = list(score_messages(record, "g.scores", max_bytes=max_bytes))

    parts = [decode_scores(message.value) for message in messages]
    assert {(message.topic, message.key) for message in messages} == {("g.scores", b"readings-3")}
    assert all(len(message.value or b"") <= max_bytes for message in messages)
    assert_same_aggregates(merge_aggregates([part.aggregates for part in parts]), record.aggregates)


def test_a_record_without_sensors_or_with_a_sensor_above_the_limit_is_not_sent() -> None:
    assert list(score_messages(a_record(sensors=0), "g.scores", max_bytes=10_000)) == []
    assert list(score_messages(a_record(sensors=2), "g.scores", max_bytes=50)) == []


@pytest.mark.parametrize("length", [0, 3, 4, 50, 300, -1])
def test_a_record_that_was_cut_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="score record"):
        decode_scores(encode_scores(a_record())[:length])


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"\xff\xff\xff\xff{}",
        b"\x02\x00\x00\x00{}",
        b"\x02\x00\x00\x00\xff\xfe",
        struct.pack("<I", 40_000) + b"[" * 40_000,
        encode_scores(a_record()) + b"\0",
        with_header(encode_scores(a_record()), sensors=["a"] * 4),
        with_header(encode_scores(a_record()), signals=["flow"] * 1_000_000),
        with_header(encode_scores(a_record()), partition="3"),
    ],
    ids=range(9),
)
def test_bytes_that_are_no_score_record_are_refused(value: bytes | None) -> None:
    with pytest.raises(ValueError, match="score record"):
        decode_scores(value)


@pytest.mark.parametrize(
    ("column", "number"),
    [("rows", 0), ("severity", 99), ("severity", -1), ("last_time", 0), ("worst_score", np.nan)],
)
def test_impossible_numbers_are_refused(column: str, number: float) -> None:
    record = a_record()
    record.aggregates.columns()[column][1] = number

    with pytest.raises(ValueError, match="impossible"):
        decode_scores(encode_scores(record))


def test_a_sensor_that_occurs_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="impossible"):
        decode_scores(with_header(encode_scores(a_record()), sensors=["a", "b", "a"]))


def test_a_record_of_a_newer_program_is_refused() -> None:
    value = with_header(encode_scores(a_record()), scores_version=2, signals=7)

    with pytest.raises(DataError, match="version 2"):
        decode_scores(value)
