"""The bulk encoder writes the same bytes as an encoder that builds each event as an object."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process
from sensorwatch.consumer.publishing import events
from sensorwatch.consumer.publishing.events import MAX_TRACE_BYTES, anomaly_events
from sensorwatch.consumer.threads import ThreadedRowExecutor
from tests.consumer.test_array_records import a_row, an_array, array_detector
from tests.kafka.record_builders import StoredRecord
from tests.publishing.reference_events import reference_events
from tests.publishing.test_episode_events import RECORD_LISTS, a_row_payload, detector_with_gaps
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES
from tests.scoring.detectors import DETECTORS
from tests.scoring.grouped_rows import grouped_detector


def score_records(
    records: Sequence[StoredRecord], detector: Detector, *, max_sensors: int = 100
) -> Outcome:
    return process(
        [record.value() for record in records],
        detector,
        detector.empty_memory(max_sensors=max_sensors),
        positions=np.asarray([record.stored_offset for record in records], dtype=np.int64),
        sources=[{"@key": "pump-7"} for _ in records] if detector.schema.source_names else None,
    )


def assert_same_events(
    outcome: Outcome, detector: Detector, records: Sequence[StoredRecord], emit: EmittedEvents
) -> int:
    """Compare the events with the reference; return their number."""
    actual_events = list(
        anomaly_events(outcome, detector, records, topic="a", detected_at="now", emit=emit)
    )
    assert actual_events == reference_events(
        outcome, detector, records, topic="a", detected_at="now", emit=emit
    )
    return len(actual_events)


@pytest.mark.parametrize("emit", list(EmittedEvents))
@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=40, deadline=None)
@given(records=RECORD_LISTS, max_sensors=st.integers(1, 4))
def test_events_have_the_bytes_of_the_reference(
    kind: str, emit: EmittedEvents, records: list[StoredRecord], max_sensors: int
) -> None:
    detector = detector_with_gaps(kind)
    outcome = score_records(records, detector, max_sensors=max_sensors)

    assert_same_events(outcome, detector, records, emit)


def test_events_of_groups_have_the_bytes_of_the_reference() -> None:
    """The events of all types that belong to an episode contain its group and its incident."""
    detector = grouped_detector(detector_with_gaps(), group={"before": '"'})
    values = [ANOMALOUS_VALUES, ANOMALOUS_VALUES, NORMAL_VALUES]
    records = [
        StoredRecord(a_row_payload(f'{"äb"[n % 2]}"{n % 5}', 1_000 + n, values[n % 3]), n)
        for n in range(60)
    ]
    outcome = score_records(records, detector)

    assert assert_same_events(outcome, detector, records, EmittedEvents.ROWS) >= 40
    joined = outcome.detections.incident != outcome.detections.episode
    assert joined.sum() >= 10
    assert any(episode.incident != episode.start for episode in outcome.closed)


def test_events_with_unusual_numbers_and_sensor_ids_have_the_bytes_of_the_reference() -> None:
    detector = detector_with_gaps("forecast")
    sensors = ['pump "7"', "ü\\/\U0001f600", "s0"]
    values = [1e-300, -999.9999, 0.1 + 0.2, 5.0, -0.0, 1000.0, 3e-6]
    records = [
        StoredRecord(
            a_row_payload(sensors[n % 3], 1_000 + n / 7, [values[(n + k) % 7] for k in range(3)]),
            n,
        )
        for n in range(60)
    ]
    outcome = score_records(records, detector)

    assert assert_same_events(outcome, detector, records, EmittedEvents.ROWS) >= 20


@pytest.mark.parametrize("emit", list(EmittedEvents))
def test_events_of_rows_in_arrays_have_the_bytes_of_the_reference(emit: EmittedEvents) -> None:
    detector, random = array_detector(), Random(3)
    minutes = iter(range(1_000))
    records = [
        StoredRecord(
            an_array(
                *(
                    a_row(next(minutes), random.choice([NORMAL_VALUES, ANOMALOUS_VALUES]))
                    for _ in range(random.randint(1, 6))
                )
            ),
            offset,
        )
        for offset in range(40)
    ]
    outcome = score_records(records, detector)

    assert assert_same_events(outcome, detector, records, emit) >= 20


def test_the_traces_of_the_records_are_copied_as_in_the_reference() -> None:
    detector = detector_with_gaps()
    headers_of_records = [
        None,
        [],
        [("other", b"x")],
        [("traceparent", b"00-old"), ("traceparent", b"00-new")],
        [("traceparent", b"0" * (MAX_TRACE_BYTES + 1))],
        [("traceparent", None)],
    ]
    records = [
        StoredRecord(a_row_payload("p", n, ANOMALOUS_VALUES), n, stored_headers=headers)
        for n, headers in enumerate(headers_of_records)
    ]
    outcome = score_records(records, detector)

    assert assert_same_events(outcome, detector, records, EmittedEvents.ROWS) == 6


def test_events_do_not_depend_on_threads_or_on_how_many_are_built_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    detector = detector_with_gaps("forecast")
    values = np.random.default_rng(4).choice((-90.0, 90.0), size=(6_000, 3)).tolist()
    records = [
        StoredRecord(a_row_payload(f"s{n % 60}", 1_000 + n, row), n) for n, row in enumerate(values)
    ]
    outcome = score_records(records, detector)
    expected = list(anomaly_events(outcome, detector, records, topic="a", detected_at="now"))

    monkeypatch.setattr(events, "MAX_SIGNALS_BUILT_AT_ONCE", 3 * 2_700)
    with ThreadedRowExecutor(2) as row_executor:
        actual = list(
            anomaly_events(
                outcome, detector, records, topic="a", detected_at="now", row_executor=row_executor
            )
        )

    assert len(actual) > 5_500
    assert actual == expected
