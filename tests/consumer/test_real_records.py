"""On a real Kafka: records with several rows, and records in long form, survive a kill."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensorwatch.common.kafka.dead_letters import HEADERS_LOST_HEADER, ROWS_HEADER
from sensorwatch.common.kafka.records import header_value
from sensorwatch.common.rows.schema import schema_from_plain
from tests.brokers.child_processes import ChildProcess
from tests.brokers.kafka import Kafka
from tests.brokers.raw_header import produce_with_header
from tests.consumer.sandbox import MODEL_NAME, REPOSITORY_ROOT, Sandbox
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_candidate

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]
SIGNALS = ("x1", "x2", "x3")


def a_sandbox(kafka: Kafka, folder: Path, **schema_parts: Any) -> Sandbox:
    sandbox = Sandbox(kafka.address, folder)
    for name, partitions in sandbox.topics.items():
        kafka.create_topic(name, partitions)
    candidate = a_candidate()
    schema = schema_from_plain(candidate.schema.to_plain() | schema_parts)
    sandbox.registry.register(MODEL_NAME, replace(candidate, schema=schema), who="test", why="test")
    return sandbox


def a_time(minute: int, second: int = 0) -> str:
    return f"2024-12-31T{minute // 60:02}:{minute % 60:02}:{second:02}Z"


def a_row(minute: int, values: Sequence[float]) -> dict[str, object]:
    return {"timestamp": a_time(minute), **dict(zip(SIGNALS, values, strict=True))}


def consume_with_a_kill(sandbox: Sandbox, records: int) -> None:
    """Consume the records with a worker that is killed in between, and prove the ledger."""
    with sandbox.start(consumer__max_rows=5, consumer__snapshot_every_rows=20) as worker:
        sandbox.wait_some_consumed(20, worker)
        worker.process.kill()
    with sandbox.start(consumer__max_rows=7) as worker:
        # The killed worker can have consumed all records, so this worker may still be starting.
        worker.wait_ready()
        sandbox.wait_consumed(records, worker)
        assert worker.process.terminate(deadline=15) == 0
    verify = ChildProcess(
        [sys.executable, "-m", "sensorwatch", "ledger", "verify"],
        log=sandbox.folder / "verify.txt",
        environment={**sandbox.environment(), "PYTHONPATH": str(REPOSITORY_ROOT)},
        folder=sandbox.folder,
    )
    assert verify.wait(deadline=60) == 0, verify.log.read_text()
    assert all(account.adds_up for account in sandbox.accounts().values())


def event_ids(sandbox: Sandbox) -> list[str]:
    values = [message.value() or b"" for message in sandbox.read(sandbox.anomalies)]
    return [json.loads(value)["event_id"] for value in values]


def test_arrays_with_unreadable_headers_have_events_and_dead_letters(
    kafka: Kafka, tmp_path: Path
) -> None:
    sandbox = a_sandbox(kafka, tmp_path, rows="values[*]", key={"field": ["sensor_id", "@topic"]})
    mixed_payload = json.dumps(
        {
            "sensor_id": "a",
            "values": [
                a_row(0, ANOMALOUS_VALUES),
                {"bad": 1},
                a_row(1, ANOMALOUS_VALUES),
                {"bad": 2},
            ],
        }
    ).encode()
    produce_with_header(
        kafka.address,
        sandbox.readings,
        mixed_payload,
        partition=0,
        header_name=b"\xff\xfe",
        header_value=b"v",
    )
    records = [
        {"sensor_id": "a", "values": [a_row(minute, NORMAL_VALUES), a_row(minute + 1, values)]}
        for minute, values in zip(
            range(2, 120, 2), [NORMAL_VALUES, ANOMALOUS_VALUES] * 60, strict=False
        )
    ]
    sandbox.send_payloads([json.dumps(record).encode() for record in records], partition=0)

    consume_with_a_kill(sandbox, 1 + len(records))

    account = sandbox.accounts()[0]
    anomalies = sum(record["values"][1]["x1"] == ANOMALOUS_VALUES[0] for record in records)  # type: ignore[index]
    assert (account.rows, account.anomalies) == (2 + 2 * len(records), 1 + anomalies)
    prefix = f"{sandbox.readings}-0-"
    ids = event_ids(sandbox)
    assert Counter(ids).most_common(1)[0][1] == 1
    assert {f"{prefix}0-0", f"{prefix}0-2"} < set(ids)
    assert sum(not event_id.endswith("-closed") for event_id in ids) == 2 + anomalies
    (letter,) = sandbox.read(sandbox.dead_letters)
    assert letter.value() == mixed_payload
    assert header_value(letter, ROWS_HEADER) == b"1,3"
    assert header_value(letter, HEADERS_LOST_HEADER) is not None


def test_open_rows_of_long_form_survive_a_kill(kafka: Kafka, tmp_path: Path) -> None:
    sandbox = a_sandbox(
        kafka,
        tmp_path,
        long_form={"name": "metric", "value": "v", "bucket_seconds": 60},
        key={"field": "@key"},
    )
    minutes = 30
    payloads = [
        json.dumps({"timestamp": a_time(minute, second), "metric": metric, "v": value}).encode()
        for minute in range(minutes)
        for second, (metric, value) in enumerate(
            zip(SIGNALS, ANOMALOUS_VALUES if minute % 3 == 1 else NORMAL_VALUES, strict=True)
        )
    ]
    sandbox.send_payloads(payloads, partition=0)

    consume_with_a_kill(sandbox, len(payloads))

    account = sandbox.accounts()[0]
    assert (account.rows, account.anomalies, account.normal) == (minutes - 1, 10, minutes - 11)
    assert account.joined == account.absorbed == len(payloads) - account.rows
    detected_ids = [event_id for event_id in event_ids(sandbox) if not event_id.endswith("-closed")]
    # The first value of the next minute closes the row of a minute.
    assert detected_ids == [
        f"{sandbox.readings}-0-{3 * (minute + 1)}-0" for minute in range(1, 30, 3)
    ]
