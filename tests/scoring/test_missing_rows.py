"""A row without values does not show that its sensor is normal."""

import json
from collections.abc import Mapping
from functools import cache

import numpy as np

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.runtime.setting_choices import FeatureKind
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome, OutcomeKind, process
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.trainer.imputation import drop_rows_without_signals
from sensorwatch.trainer.training import fit_unregistered, split_by_time

MINUTE = 60_000_000
NAN = float("nan")


@cache
def pump_schema() -> Schema:
    held = {"missing": "hold_last"}
    return schema_from_plain(
        {
            "time": {"field": "t", "format": "epoch_s"},
            "key": {"field": "id"},
            "signals": [{"name": "a", **held}, {"name": "b", **held}],
            "context": [{"name": "rpm", **held}],
        }
    )


def pump_rows(rows: int) -> Readings:
    """Return rows of one pump; a and b follow rpm, which has three values."""
    random = np.random.default_rng(4)
    rpm = np.repeat(random.integers(1, 4, rows // 20 + 1), 20)[:rows].astype(np.float64)
    values = rpm[:, np.newaxis] * [1.0, 2.0] + random.normal(scale=0.1, size=(rows, 2))
    return Readings(
        np.arange(rows),
        np.arange(rows) * MINUTE,
        np.zeros(rows, dtype=np.int32),
        ("p",),
        values,
        rpm[:, np.newaxis],
    )


@cache
def pump_detector(features: FeatureKind = FeatureKind.FORECAST) -> Detector:
    settings = TrainerSettings(trees=5, min_rows=20, features=features)
    return fit_unregistered(pump_rows(400), pump_schema(), settings)


def score(
    memory: Memory, *rows: Mapping[str, float | str | None], kind: str = "forecast"
) -> Outcome:
    payloads = [json.dumps({"id": "p", **row}).encode() for row in rows]
    return process(payloads, pump_detector(FeatureKind(kind)), memory)


def warm_memory() -> Memory:
    memory = pump_detector().empty_memory()
    score(memory, *({"t": 60 * k, "a": 1.0, "b": 2.0, "rpm": 1.0} for k in range(5)))
    return memory


def tables(memory: Memory) -> tuple[bytes, bytes]:
    return memory.floats.tobytes(), memory.ints.tobytes()


def test_a_row_without_any_value_is_a_dead_letter_and_changes_no_memory() -> None:
    memory = warm_memory()
    before = tables(memory)

    outcome = score(memory, {"t": 300, "a": None}, {"t": 360})

    assert [OutcomeKind(kind) for kind in outcome.kinds] == [OutcomeKind.DEAD_LETTER] * 2
    assert [rejection.reason for rejection in outcome.rejections] == [Reason.NULL_VALUE] * 2
    assert tables(memory) == before


def test_a_row_with_a_context_value_only_has_no_score_and_its_context_counts_later() -> None:
    memory, other_memory = warm_memory(), warm_memory()

    outcome = score(memory, {"t": 300, "rpm": 3.0})

    assert [STATUSES[status] for status in outcome.detections.status] == [Status.MISSING]
    assert outcome.detections.raw_score.tolist() == [0.0]
    assert not outcome.detections.is_anomaly.any()
    next_row = {"t": 360, "a": 3.0, "b": 6.0}
    assert score(memory, next_row).readings.context.tolist() == [[3.0]]
    assert score(other_memory, next_row).readings.context.tolist() == [[1.0]]


def test_a_late_row_gets_no_value_that_is_newer_than_the_row() -> None:
    memory = warm_memory()
    score(memory, {"t": 300, "a": 5.0, "b": 10.0, "rpm": 3.0})

    late = score(memory, {"t": 30, "a": 1.0, "rpm": 1.0})
    duplicate = score(memory, {"t": 300, "a": 5.0, "rpm": 3.0})

    assert late.readings.values[0, 1] != 10.0
    assert duplicate.readings.values[0, 1] == 10.0


def test_rows_without_signals_give_the_same_bits_in_micro_batches_of_any_size() -> None:
    rows: list[Mapping[str, float | str | None]] = [
        {"t": 300.0, "rpm": 3.0},
        {"t": 360.0, "a": 3.0},
        {"t": 200.0},
        {"t": 330.0, "rpm": 2.0},
        {"t": 420.0, "b": 6.0, "rpm": None},
        {"t": 430.0, "id": "new", "rpm": 1.0},
        {"t": 440.0, "id": "new", "a": 1.0, "b": 2.0},
    ]
    memory, other_memory = warm_memory(), warm_memory()

    together = score(memory, *rows)
    one_by_one = [score(other_memory, row) for row in rows]

    scores = [outcome.detections.raw_score for outcome in one_by_one]
    assert together.detections.raw_score.tobytes() == np.concatenate(scores).tobytes()
    assert tables(memory) == tables(other_memory)


def test_a_plain_model_gives_a_row_without_signals_no_alarm() -> None:
    memory = pump_detector(FeatureKind.PLAIN).empty_memory()

    outcome = score(memory, {"t": 0, "rpm": 1e6}, {"t": 60}, kind="plain")

    assert outcome.detections.raw_score.tolist() == [0.0]
    assert [OutcomeKind(kind) for kind in outcome.kinds] == [
        OutcomeKind.NORMAL,
        OutcomeKind.DEAD_LETTER,
    ]


def test_training_drops_rows_without_signals_and_keeps_their_context() -> None:
    rows = pump_rows(60)
    rows.values[10], rows.context[10], rows.context[11] = NAN, 7.0, NAN

    remaining_rows = drop_rows_without_signals(rows)

    assert len(remaining_rows) == 59
    assert remaining_rows.context[10, 0] == 7.0
    assert remaining_rows.index.tolist() == list(range(59))
    assert len(split_by_time(rows, 0.3).sorted_readings) == 59
