"""The precision of the alarms that people saw: the share of judged alarms that were right."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.verdicts.verdict import Verdict, VerdictRecord


@dataclass(frozen=True, slots=True)
class JudgedAlarm:
    """One alarm, with its verdict if there is one."""

    severity: str
    sensor: str
    signal: str
    pattern: str
    model: str
    verdict: Verdict | None


DIMENSIONS = ("severity", "sensor", "signal", "pattern", "model")
"""The fields of JudgedAlarm by which alarms are counted."""


@dataclass(slots=True)
class VerdictCounts:
    """Numbers of alarms by verdict."""

    true: int = 0
    false: int = 0
    expected: int = 0
    without_verdict: int = 0

    @property
    def alarms(self) -> int:
        """Return the number of alarms."""
        return self.judged + self.without_verdict

    @property
    def judged(self) -> int:
        """Return the number of alarms with a verdict."""
        return self.true + self.false + self.expected

    @property
    def precision(self) -> float | None:
        """Return the share of judged alarms that were right; None without a verdict."""
        return self.true / self.judged if self.judged else None

    def add(self, verdict: Verdict | None) -> None:
        """Count an alarm."""
        match verdict:
            case Verdict.TRUE:
                self.true += 1
            case Verdict.FALSE:
                self.false += 1
            case Verdict.EXPECTED:
                self.expected += 1
            case _:
                self.without_verdict += 1

    def to_plain(self) -> dict[str, float | int | None]:
        """Return the counts as plain JSON values."""
        return {
            "alarms": self.alarms,
            "true": self.true,
            "false": self.false,
            "expected": self.expected,
            "without_verdict": self.without_verdict,
            "precision": self.precision,
        }


@dataclass(slots=True)
class PrecisionReport:
    """The counts of all alarms, and of each value of each dimension, most alarms first."""

    total: VerdictCounts = field(default_factory=VerdictCounts)
    by_dimension: dict[str, dict[str, VerdictCounts]] = field(default_factory=dict)


def judged_alarms(
    episodes: Iterable[EpisodeState], verdicts: Mapping[str, VerdictRecord]
) -> list[JudgedAlarm]:
    """Return the alarms with their verdicts. `episodes`: the episodes that the topic still has."""
    return [_alarm(episode, verdicts.get(episode.id)) for episode in episodes]


def recorded_alarms(verdicts: Iterable[VerdictRecord]) -> list[JudgedAlarm]:
    """Return the alarms of verdicts whose episodes are no longer in the topic."""
    return [
        JudgedAlarm(
            record.severity,
            record.sensor_id,
            record.signal,
            record.pattern,
            record.model_version,
            record.verdict,
        )
        for record in verdicts
    ]


def precision_report(alarms: Iterable[JudgedAlarm]) -> PrecisionReport:
    """Return the counts of the alarms."""
    report = PrecisionReport(by_dimension={name: {} for name in DIMENSIONS})
    for alarm in alarms:
        report.total.add(alarm.verdict)
        for name, counts in report.by_dimension.items():
            counts.setdefault(getattr(alarm, name), VerdictCounts()).add(alarm.verdict)
    report.by_dimension = {
        name: dict(sorted(counts.items(), key=lambda item: (-item[1].alarms, item[0])))
        for name, counts in report.by_dimension.items()
    }
    return report


def _alarm(episode: EpisodeState, record: VerdictRecord | None) -> JudgedAlarm:
    leading = episode.excursion.leading
    return JudgedAlarm(
        episode.severity,
        episode.sensor_id,
        "" if leading is None else leading.name,
        episode.pattern,
        episode.model_version,
        None if record is None else record.verdict,
    )
