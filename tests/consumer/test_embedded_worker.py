"""A worker on the embedded broker, at least once: what it writes, shows and ends with."""

from pathlib import Path

import pytest

from sensorwatch.common.kafka.embedded import EmbeddedBroker
from sensorwatch.common.kafka.ledger_text import Cause
from tests.consumer.plant import MODEL, Plant
from tests.kafka.record_builders import a_payload
from tests.publishing.test_events import VALIDATOR, plain_value
from tests.reading_builders import ANOMALOUS

pytestmark = pytest.mark.embedded

PAYLOADS = [a_payload(), a_payload(ANOMALOUS), b"{", a_payload(x1=None)] * 10
PLAIN = {"consumer__delivery": "at_least_once"}


@pytest.fixture
def plant(embedded_broker: EmbeddedBroker, tmp_path: Path) -> Plant:
    plant = Plant(embedded_broker.address, tmp_path)
    for topic in plant.topics:
        embedded_broker.create_topic(topic)
    return plant


@pytest.mark.slow
def test_a_worker_gives_every_record_its_outcome_shows_it_and_stops_in_time(plant: Plant) -> None:
    plant.with_model().send(PAYLOADS)
    with plant.start(**PLAIN) as worker:
        worker.wait_ready()
        plant.wait_consumed(len(PAYLOADS), worker)

        assert (worker.status("/livez"), worker.status("/readyz")) == (200, 200)
        consumed = f'sensorwatch_records_consumed_total{{topic="{plant.readings}"}}'
        assert worker.metric(consumed) == 40
        assert worker.metric("sensorwatch_rows_scored_total") == 20
        assert worker.metric('sensorwatch_dead_letters_total{reason="not_json"}') == 10
        assert worker.metric('sensorwatch_transactions_total{outcome="committed"}') >= 1
        assert worker.metric("sensorwatch_model_reload_last_success") == 1
        assert worker.program.terminate(deadline=5) == 0

    plant.check_books()
    for message in plant.read(plant.anomalies):
        VALIDATOR.validate(plain_value(message.value()))
    causes = [record.cause for record in plant.ledger_records()]
    assert causes.count(Cause.OPENED) == 4


@pytest.mark.slow
def test_a_restarted_worker_goes_on_from_the_account(plant: Plant) -> None:
    plant.with_model().send(PAYLOADS)
    for total in (40, 80):
        with plant.start(**PLAIN) as worker:
            plant.wait_consumed(total, worker)
            if total == 40:
                worker.program.kill9()
                plant.send(PAYLOADS)
            else:
                assert worker.program.terminate(deadline=5) == 0

    plant.check_books()
    assert {account.first_offset for account in plant.accounts().values()} == {0}


def test_without_a_model_it_ends_at_once_and_says_what_to_do(plant: Plant) -> None:
    with plant.start(**PLAIN) as worker:
        assert worker.program.wait(deadline=30) == 6
        assert f"no model {MODEL}" in worker.log()


def test_a_topic_that_is_missing_is_named(plant: Plant) -> None:
    plant.with_model()
    with plant.start(**PLAIN, topics__anomalies="nowhere") as worker:
        assert worker.program.wait(deadline=40) == 3
        assert '"nowhere"' in worker.log()


def test_a_wrong_setting_ends_with_code_2(plant: Plant) -> None:
    with plant.start(consumer__max_rows=0) as worker:
        assert worker.program.wait(deadline=30) == 2
        assert "max_rows" in worker.log()
