"""Compares the alarms of a stream without and with verdicts."""

from dataclasses import dataclass

from benchmarks.quality.verdicts.flushed_fleet import HARMLESS, FlushedFleet, flushed_fleet
from benchmarks.quality.verdicts.judged_replay import JudgedReplay, replay
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.runtime.verdict_settings import VerdictSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.verdicts.learning import LearningRule
from sensorwatch.trainer.training import fit_unregistered

VERDICTS, TRAIN_DAYS = 10, 7
NEVER = 2**62
"""A time after all rows."""


@dataclass(frozen=True, slots=True)
class VerdictEffect:
    """What verdicts on harmless alarms change in the later part of a stream."""

    verdicts: int
    harmless_before: int
    """Number of harmless excursions after the last verdict that raise an alarm without verdicts."""
    harmless_after: int
    """The same number with verdicts."""
    faults_before: int
    """Number of faults in the whole stream for which an alarm is raised without verdicts."""
    lost_faults: tuple[str, ...]
    """Kind and time of each of these faults for which no alarm is raised with verdicts."""

    @property
    def removed_share(self) -> float:
        """Return the share of later harmless alarms that the verdicts remove."""
        return 1.0 - self.harmless_after / self.harmless_before if self.harmless_before else 0.0

    @property
    def text(self) -> str:
        """Return the figures as a sentence."""
        return (
            f"{self.verdicts} verdicts; later harmless alarms {self.harmless_before} -> "
            f"{self.harmless_after} ({100 * self.removed_share:.1f} % removed); other faults "
            f"{self.faults_before} found, {len(self.lost_faults)} lost"
            f"{': ' if self.lost_faults else ''}{', '.join(self.lost_faults)}"
        )


def measure_effect(
    seed: int,
    *,
    sensors: int,
    days: int,
    covers_group: bool,
    ramp_steps: int = 1,
    trees: int = 100,
) -> VerdictEffect:
    """Return the effect of VERDICTS verdicts `false` on a simulated fleet."""
    fleet = flushed_fleet(
        seed, sensors=sensors, train_days=TRAIN_DAYS, days=days, ramp_steps=ramp_steps
    )
    detector = fit_unregistered(fleet.training, fleet.schema, TrainerSettings(trees=trees))
    return effect_of_verdicts(fleet, detector, covers_group=covers_group)


def effect_of_verdicts(
    fleet: FlushedFleet, detector: Detector, *, covers_group: bool
) -> VerdictEffect:
    """Return the effect of VERDICTS verdicts `false` on a fleet."""
    rule = LearningRule(covers_group, VerdictSettings().tolerance, NEVER)
    before = replay(fleet, detector, max_verdicts=0, rule=rule)
    after = replay(fleet, detector, max_verdicts=VERDICTS, rule=rule)
    return compare(fleet, before, after)


def compare(fleet: FlushedFleet, before: JudgedReplay, after: JudgedReplay) -> VerdictEffect:
    """Return the difference between two replays of a fleet."""
    sensor_ids = fleet.stream.sensor_ids
    later_flushes = [
        excursion
        for excursion in fleet.excursions
        if excursion.kind == HARMLESS and excursion.first_time > after.last_verdict
    ]
    faults = [
        excursion
        for excursion in fleet.excursions
        if excursion.kind != HARMLESS and before.finds(excursion, sensor_ids)
    ]
    return VerdictEffect(
        after.verdicts,
        sum(before.finds(flush, sensor_ids) for flush in later_flushes),
        sum(after.finds(flush, sensor_ids) for flush in later_flushes),
        len(faults),
        tuple(
            f"{fault.kind} of {sensor_ids[fault.sensor]} at {fault.first_time}"
            for fault in faults
            if not after.finds(fault, sensor_ids)
        ),
    )
