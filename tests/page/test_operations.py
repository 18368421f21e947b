"""Progress, models and refused records are read for the page."""

from pathlib import Path

import pytest
from confluent_kafka import Producer

from sensorwatch.api.page import operations
from sensorwatch.api.page.operations import (
    model_lines,
    progress_of,
    read_refused,
    refused_by_reason,
    refused_record,
)
from sensorwatch.api.page.operations_thread import OperationsThread
from sensorwatch.common.kafka.committed_accounts import CommittedAccount
from sensorwatch.common.kafka.dead_letters import CODE_HEADER, ID_HEADER, MESSAGE_HEADER
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.runtime.setting_keys import Settings
from tests.api.app_builders import a_registry
from tests.brokers.mock_cluster import MockCluster
from tests.brokers.ports import free_port
from tests.kafka.record_builders import StoredRecord

GOOD = Account(first_offset=0, next_offset=10, consumed=10, normal=9, anomalies=1)
BAD = Account(first_offset=0, next_offset=10, consumed=10, normal=5)


def test_progress_is_computed_from_committed_offsets() -> None:
    accounts = {Partition("sensors", 0): CommittedAccount(100, GOOD)}
    earlier = progress_of(accounts, {0: 150, 1: 30}, None, now=5.0)
    accounts[Partition("sensors", 0)] = CommittedAccount(300, GOOD)

    later = progress_of(accounts, {0: 310, 1: 30}, earlier, now=9.0)

    assert (earlier.lag, earlier.records_per_second) == (80, None)
    assert (later.lag, later.records_per_second) == (40, 50.0)
    assert later.adds_up is True


def test_an_account_that_does_not_add_up_is_shown() -> None:
    accounts = {
        Partition("sensors", 0): CommittedAccount(10, GOOD),
        Partition("sensors", 1): CommittedAccount(10, BAD),
    }

    assert progress_of(accounts, {}, None, now=0.0).adds_up is False
    assert progress_of({}, {}, None, now=0.0).adds_up is None


def test_refused_records_are_counted_by_reason() -> None:
    records = [
        refused_record(
            StoredRecord(
                b"x",
                stored_headers=[
                    (CODE_HEADER, reason),
                    (MESSAGE_HEADER, b"\xff text"),
                    (ID_HEADER, b"sensors-0-%d" % offset),
                ],
            )
        )
        for offset, reason in enumerate([b"not_json", b"out_of_range", b"out_of_range"])
    ]

    reasons = refused_by_reason([*records, refused_record(StoredRecord(b"x"))])

    assert [(reason.reason, reason.count) for reason in reasons] == [
        ("out_of_range", 2),
        ("not_json", 1),
        ("unknown", 1),
    ]
    assert reasons[1].newest.message == "\ufffd text"


def test_refused_records_are_read_from_their_topic(mock_cluster: MockCluster) -> None:
    topic = mock_cluster.create_topic("sensors.dlq")
    producer = Producer({"bootstrap.servers": mock_cluster.address})
    for _ in range(3):
        producer.produce(topic, b"x", headers=[(CODE_HEADER, b"not_json")])
    assert producer.flush(10) == 0

    (reason,) = read_refused({"bootstrap.servers": mock_cluster.address}, topic)

    assert (reason.reason, reason.count) == ("not_json", 3)


def test_models_have_their_aliases(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)

    (line,) = model_lines(registry, "default")

    assert line.aliases == ("champion",)
    assert line.id == registry.version_ids("default")[0]


def test_problems_are_kept_in_place_of_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CONNECT_SECONDS", 0.2)
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "aliases.json").write_text("{")
    kafka = {"bootstrap.servers": f"127.0.0.1:{free_port()}"}
    settings = Settings.model_validate({"kafka": kafka, "registry": {"path": tmp_path}})
    thread = OperationsThread(settings)

    thread.read_once(with_refused=False)

    assert thread.newest.progress is None
    assert "no broker answers" in thread.newest.progress_problem
    assert "cannot be read" in thread.newest.models_problem
