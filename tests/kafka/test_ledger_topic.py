"""The ledger topic is read back; records of other programs are ignored with a warning."""

import pytest
from confluent_kafka import Producer

from sensorwatch.common.kafka.ledger_text import Cause, ledger_message
from sensorwatch.common.kafka.ledger_topic import group_history, read_ledger
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import open_account
from sensorwatch.demo.embedded_broker import EmbeddedBroker


def test_a_record_of_another_program_or_an_older_version_is_ignored_with_a_warning(
    embedded_broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    embedded_broker.create_topic("g.ledger")
    account = open_account(5, model_version="v1", fingerprint="f")
    message = ledger_message("g.ledger", "g", Partition("input", 0), account, Cause.OPENED)
    producer = Producer({"bootstrap.servers": embedded_broker.address, "log_level": 0})
    assert message.value is not None
    old_value = message.value.replace(b'"ledger_version":2', b'"ledger_version":1')
    for value in (b"not a ledger record", old_value, message.value):
        producer.produce("g.ledger", value, partition=0)
    producer.flush(10)

    kafka = {"bootstrap.servers": embedded_broker.address}
    records = read_ledger(kafka, "g.ledger", group="g")

    assert [record.account for record in records] == [account]
    assert "g.ledger[0]@0 is ignored" in caplog.text
    assert "1 records of g.ledger are ignored, because an older sensorwatch" in caplog.text
    assert group_history(kafka, "g.ledger", group="g").partitions == {Partition("input", 0)}
