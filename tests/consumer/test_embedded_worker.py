"""Checks output, metrics and exit codes of worker processes with at-least-once delivery."""

from pathlib import Path

import pytest

from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.consumer.sandbox import MODEL_NAME, Sandbox
from tests.kafka.record_builders import a_payload
from tests.publishing.test_events import EVENT_VALIDATOR, decode_event
from tests.reading_builders import ANOMALOUS_VALUES

pytestmark = pytest.mark.embedded

PAYLOADS = [a_payload(), a_payload(ANOMALOUS_VALUES), b"{", a_payload(x1=None)] * 10
AT_LEAST_ONCE_SETTINGS = {"consumer__delivery": "at_least_once"}


@pytest.fixture
def sandbox(embedded_broker: EmbeddedBroker, tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(embedded_broker.address, tmp_path)
    for topic in sandbox.topics:
        embedded_broker.create_topic(topic)
    return sandbox


@pytest.mark.slow
def test_a_worker_publishes_and_counts_every_outcome_and_stops_in_time(
    sandbox: Sandbox,
) -> None:
    sandbox.with_model().send_payloads(PAYLOADS)
    with sandbox.start(**AT_LEAST_ONCE_SETTINGS) as worker:
        worker.wait_ready()
        sandbox.wait_consumed(len(PAYLOADS), worker)

        assert (worker.status("/livez"), worker.status("/readyz")) == (200, 200)
        consumed_sample = f'sensorwatch_records_consumed_total{{topic="{sandbox.readings}"}}'
        assert worker.metric(consumed_sample) == 40
        assert worker.metric("sensorwatch_rows_scored_total") == 20
        assert worker.metric('sensorwatch_dead_letters_total{reason="not_json"}') == 10
        assert worker.metric('sensorwatch_transactions_total{outcome="committed"}') >= 1
        assert worker.metric("sensorwatch_model_reload_last_success") == 1
        assert worker.process.terminate(deadline=5) == 0

    sandbox.check_accounts()
    for message in sandbox.read(sandbox.anomalies):
        EVENT_VALIDATOR.validate(decode_event(message.value()))
    causes = [record.cause for record in sandbox.ledger_records()]
    assert causes.count(Cause.OPENED) == 4


@pytest.mark.slow
def test_a_restarted_worker_continues_from_the_account(sandbox: Sandbox) -> None:
    sandbox.with_model().send_payloads(PAYLOADS)
    for record_total in (40, 80):
        with sandbox.start(**AT_LEAST_ONCE_SETTINGS) as worker:
            sandbox.wait_consumed(record_total, worker)
            if record_total == 40:
                worker.process.kill()
                sandbox.send_payloads(PAYLOADS)
            else:
                assert worker.process.terminate(deadline=5) == 0

    sandbox.check_accounts()
    assert {account.first_offset for account in sandbox.accounts().values()} == {0}


def test_without_a_model_a_worker_exits_with_code_6_and_names_the_model(sandbox: Sandbox) -> None:
    with sandbox.start(**AT_LEAST_ONCE_SETTINGS) as worker:
        assert worker.process.wait(deadline=30) == 6
        assert f"has no model {MODEL_NAME}" in worker.log()


def test_with_a_missing_topic_a_worker_exits_with_code_3_and_names_the_topic(
    sandbox: Sandbox,
) -> None:
    sandbox.with_model()
    with sandbox.start(**AT_LEAST_ONCE_SETTINGS, topics__anomalies="nowhere") as worker:
        assert worker.process.wait(deadline=40) == 3
        assert '"nowhere"' in worker.log()


@pytest.mark.slow
def test_without_a_scores_topic_a_worker_warns_and_publishes_its_other_results(
    sandbox: Sandbox,
) -> None:
    sandbox.with_model().send_payloads(PAYLOADS)
    with sandbox.start(**AT_LEAST_ONCE_SETTINGS, topics__scores="nowhere") as worker:
        sandbox.wait_consumed(len(PAYLOADS), worker)
        assert worker.process.terminate(deadline=5) == 0

    assert 'no topic \\"nowhere\\", so no score records are published' in worker.log()
    assert len(sandbox.read(sandbox.anomalies)) == 10
    assert sandbox.read(sandbox.scores_topic) == []


def test_with_a_wrong_setting_a_worker_exits_with_code_2(sandbox: Sandbox) -> None:
    with sandbox.start(consumer__max_rows=0) as worker:
        assert worker.process.wait(deadline=30) == 2
        assert "max_rows" in worker.log()
