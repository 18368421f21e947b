"""The rules for order, gaps, missing values and sensors that nobody knows yet."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings, readings_of
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.rows.schema import Order, OutOfOrder
from sensorwatch.common.scoring.memory_bytes import memory_bytes
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.recall import LINEAR, squash
from sensorwatch.common.scoring.status import STATUSES, Status
from tests.detection.detection_streams import scored
from tests.reading_builders import MINUTE, START, some_readings
from tests.scoring.detectors import DETECTORS, a_forecast_detector

FAR = 25.0
"""Far beyond anything in `some_readings`."""


def rows_at(minutes: list[float], values: NDArray[np.float64], sensor: str = "s0") -> Readings:
    return readings_of(
        index=range(len(minutes)),
        event_time=[START + round(minute * MINUTE) for minute in minutes],
        sensor_ids=[sensor] * len(minutes),
        values=values.tolist(),
        signals=3,
    )


def quiet(rows: int, seed: int = 3) -> NDArray[np.float64]:
    return np.clip(np.random.default_rng(seed).normal(size=(rows, 3)), -1.5, 1.5)


def statuses(outcome: Outcome) -> list[Status]:
    return [STATUSES[number] for number in outcome.detections.status]


def test_a_known_sensor_needs_its_lags_only() -> None:
    detector = a_forecast_detector()

    (outcome,) = scored(rows_at([0, 2, 4, 6], quiet(4)), detector, detector.cold())

    assert statuses(outcome) == [Status.WARMING_UP] * 2 + [Status.SCORED] * 2


def test_an_unknown_sensor_warms_up_visibly_and_then_has_its_own_level() -> None:
    detector = a_forecast_detector()
    level = quiet(60) * 0.5 + 3.0  # usual for this sensor, rare for the others

    (outcome,) = scored(rows_at(list(range(0, 120, 2)), level, "new"), detector, detector.cold())

    assert statuses(outcome) == [Status.WARMING_UP] * 30 + [Status.SCORED] * 30
    assert not outcome.detections.is_anomaly[30:].any()
    located = outcome.detections.evidence.location[-1]
    assert np.all(np.abs(located - 3.0) < 0.3)


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_gross_outlier_is_found_while_a_sensor_warms_up(kind: str) -> None:
    detector = DETECTORS[kind]()
    values = quiet(10)
    values[5] = FAR

    (outcome,) = scored(rows_at(list(range(10)), values, "new"), detector, detector.cold())

    assert outcome.detections.is_anomaly.tolist() == [row == 5 for row in range(10)]


@pytest.mark.parametrize(("minute", "status"), [(3, Status.LATE), (4, Status.DUPLICATE)])
def test_a_row_out_of_order_is_scored_apart_and_leaves_no_trace(
    minute: int, status: Status
) -> None:
    detector = a_forecast_detector()
    memory, other = detector.cold(), detector.cold()
    values = quiet(3)
    scored(rows_at([0, 2, 4], values), detector, memory)
    scored(rows_at([0, 2, 4], values), detector, other)

    (outcome,) = scored(rows_at([minute], np.full((1, 3), FAR)), detector, memory)

    assert statuses(outcome) == [status]
    assert outcome.detections.is_anomaly.all()
    assert (outcome.detections.episode[0], outcome.detections.episode_rows[0]) == (0, 1)
    assert outcome.closed == []
    memory.position = other.position
    assert memory_bytes(memory) == memory_bytes(other)


def test_rows_out_of_order_are_dead_letters_where_the_schema_says_so() -> None:
    plain = a_forecast_detector()
    order = Order(late=OutOfOrder.REJECT, duplicate=OutOfOrder.REJECT)
    detector = replace(plain, schema=plain.schema.model_copy(update={"order": order}))

    (outcome,) = scored(rows_at([0, 2, 1, 2, 4], quiet(5)), detector, detector.cold())

    assert [(one.index, one.reason) for one in outcome.rejections] == [
        (2, Reason.LATE),
        (3, Reason.DUPLICATE),
    ]
    assert outcome.readings.index.tolist() == [0, 1, 4]
    assert outcome.records == 5


def test_a_gap_resets_the_lags_and_ends_an_open_episode() -> None:
    detector = a_forecast_detector()
    gap = detector.levels.max_gap / MINUTE
    values = quiet(6)
    values[3] = FAR
    minutes = [0, 2, 4, 6, 6 + gap + 1, 8 + gap + 1]

    (outcome,) = scored(rows_at(minutes, values), detector, detector.cold())

    assert statuses(outcome)[3:] == [Status.SCORED, Status.GAP, Status.WARMING_UP]
    assert not outcome.detections.is_anomaly[4:].any()
    (closed,) = outcome.closed
    assert (closed.index, closed.rows, closed.last_time) == (4, 1, START + 6 * MINUTE)


def test_a_step_as_long_as_the_limit_is_no_gap() -> None:
    detector = a_forecast_detector()
    gap = detector.levels.max_gap / MINUTE

    (outcome,) = scored(rows_at([0, gap, 2 * gap], quiet(3)), detector, detector.cold())

    assert Status.GAP not in statuses(outcome)


def test_what_is_missing_is_held_from_the_row_before_and_says_so() -> None:
    detector = a_forecast_detector()
    values = quiet(4)
    values[0, 1] = values[2, 0] = np.nan

    (outcome,) = scored(rows_at([0, 2, 4, 6], values), detector, detector.cold())

    assert outcome.readings.values[2, 0] == values[1, 0]
    assert outcome.readings.values[0, 1] == detector.levels.location[1, 1]
    assert np.argwhere(outcome.detections.evidence.held).tolist() == [[0, 1], [2, 0]]


def test_a_held_value_is_no_exact_repeat() -> None:
    detector = a_forecast_detector()
    values = quiet(12)
    values[2:, 0] = np.nan

    (outcome,) = scored(rows_at(list(range(0, 24, 2)), values), detector, detector.cold())

    assert not outcome.detections.evidence.runs.any()


def test_a_stuck_signal_is_found_though_its_value_is_usual() -> None:
    detector = a_forecast_detector()
    values = quiet(40)
    values[20:, 2] = values[20, 2]

    (outcome,) = scored(rows_at(list(range(0, 80, 2)), values), detector, detector.cold())

    assert not outcome.detections.is_anomaly[:20].any()
    assert outcome.detections.is_anomaly[25:].all()


def test_a_location_follows_slowly_and_hardly_follows_a_fault() -> None:
    detector = a_forecast_detector()
    memory = detector.cold()
    values = quiet(300)
    values[200:, 0] += 1_000.0

    (outcome,) = scored(rows_at(list(range(300)), values), detector, memory)

    moved = outcome.detections.evidence.location[:, 0]
    scale = outcome.detections.evidence.scale[0, 0]
    assert abs(moved[200] - moved[0]) < 0.2 * scale
    assert abs(moved[-1] - moved[200]) < 0.31 * scale  # 100 rows at three scales a thousandth each


def test_what_is_near_counts_in_full_and_what_is_far_by_its_logarithm() -> None:
    near = [0.0, 1.5, -LINEAR, LINEAR]
    assert [squash(value) for value in near] == near
    assert squash(1e6) == pytest.approx(LINEAR + np.log(1e6 - LINEAR + 1.0))
    assert squash(-1e6) == -squash(1e6)
    rising = [squash(value) for value in np.linspace(-50, 50, 1_001)]
    assert np.all(np.diff(rising) > 0)


def test_rows_of_one_sensor_do_not_touch_another() -> None:
    detector = a_forecast_detector()
    both, alone = detector.cold(), detector.cold()
    rows = some_readings(60)
    wild = replace(rows, values=np.where((rows.sensor == 1)[:, None], FAR, rows.values))

    (mixed,) = scored(wild, detector, both)
    own = wild.take(wild.sensor == 0)
    (single,) = scored(own, detector, alone)

    mine = mixed.readings.sensor == 0
    assert mixed.detections.raw_score[mine].tobytes() == single.detections.raw_score.tobytes()
