"""Ten verdicts on a harmless pattern remove its later alarms, and no other fault is lost."""

import numpy as np
import pytest

from benchmarks.quality.verdicts.effect import NEVER, VERDICTS, compare
from benchmarks.quality.verdicts.flushed_fleet import HARMLESS, FlushedFleet, flushed_fleet
from benchmarks.quality.verdicts.judged_replay import JudgedReplay, replay
from sensorwatch.common.policy.alarm_policy import EMPTY_POLICY
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import score_readings
from sensorwatch.common.verdicts.learning import LearningRule
from sensorwatch.trainer.training import fit_unregistered

RULE = LearningRule(covers_group=True, tolerance=0.5, expires=NEVER)


@pytest.fixture(scope="module")
def fleet() -> FlushedFleet:
    return flushed_fleet(0, sensors=12, train_days=7, days=50)


@pytest.fixture(scope="module")
def detector(fleet: FlushedFleet) -> Detector:
    return fit_unregistered(fleet.training, fleet.schema, TrainerSettings(trees=20))


@pytest.fixture(scope="module")
def without_verdicts(fleet: FlushedFleet, detector: Detector) -> JudgedReplay:
    return replay(fleet, detector, max_verdicts=0, rule=RULE)


@pytest.mark.parametrize("emit", EmittedEvents)
def test_ten_verdicts_remove_nine_of_ten_later_alarms_and_lose_no_fault(
    fleet: FlushedFleet,
    detector: Detector,
    without_verdicts: JudgedReplay,
    emit: EmittedEvents,
) -> None:
    judged = replay(fleet, detector, max_verdicts=VERDICTS, rule=RULE, emit=emit)

    effect = compare(fleet, without_verdicts, judged)
    assert effect.verdicts == 10
    assert effect.harmless_before >= 20
    assert effect.removed_share >= 0.9, effect.text
    assert effect.faults_before >= 80
    assert effect.lost_faults == (), effect.text


def test_suppressions_of_one_sensor_leave_the_alarms_of_the_others(
    fleet: FlushedFleet, detector: Detector, without_verdicts: JudgedReplay
) -> None:
    rule = LearningRule(covers_group=False, tolerance=0.5, expires=NEVER)
    judged = replay(fleet, detector, max_verdicts=1, rule=rule)

    effect = compare(fleet, without_verdicts, judged)
    first_flush_alarm = next(
        alarm for alarm in without_verdicts.alarms if alarm.sensor_id.startswith("pump-")
    )
    others = {alarm.sensor_id for alarm in judged.alarms} - {first_flush_alarm.sensor_id}
    assert effect.removed_share < 0.5
    assert len(others) == 11


def test_without_verdicts_nothing_changes(
    fleet: FlushedFleet, detector: Detector, without_verdicts: JudgedReplay
) -> None:
    assert sum(excursion.kind == HARMLESS for excursion in fleet.excursions) > 20
    stream, memory = fleet.stream, detector.empty_memory()
    readings = stream.take(slice(None))
    readings = type(stream)(
        np.arange(len(stream), dtype=np.int64),
        readings.event_time,
        readings.sensor,
        readings.sensor_ids,
        readings.values,
        readings.context,
    )

    outcome = score_readings(readings, [], detector.under(EMPTY_POLICY), memory)

    assert outcome.score_bits.tobytes() == without_verdicts.score_bits
