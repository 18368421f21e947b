"""Counts the episodes and silences of a stream under one policy."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from sensorwatch.common.scoring.detections import SEVERITIES, Severity
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.silence_rule import SilenceRule

SHOWN_SEVERITIES = (Severity.CRITICAL, Severity.MAJOR, Severity.WARNING, Severity.INFO)


@dataclass(slots=True)
class EpisodeCounter:
    """Counts episodes by their highest severity, suppressed alarms by rule, and silences."""

    detector: Detector
    silence_rule: SilenceRule
    rows: int = 0
    silences: int = 0
    """Number of silences of sensors that began."""
    _episodes: dict[tuple[int, int], tuple[int, int, float]] = field(default_factory=dict)
    """Severity, number of the suppressing rule, and rate of each episode, by stream and start."""

    def add(self, stream: int, outcome: Outcome) -> None:
        """Add scored rows of a stream (partition); call this for all rows in order."""
        detections = outcome.detections
        self.rows += len(detections)
        self.silences += sum(not silence.is_back for silence in outcome.silences)
        rows = np.flatnonzero(detections.is_anomaly)
        columns = (
            detections.episode[rows].tolist(),
            detections.severity[rows].tolist(),
            detections.rule[rows].tolist(),
            detections.episode_rate[rows].tolist(),
        )
        for start, severity, rule, rate in zip(*columns, strict=True):
            self._episodes[stream, start] = severity, rule, rate

    def empty_memory(self) -> Memory:
        """Return the empty memory of a stream."""
        return self.detector.empty_memory(silence_rule=self.silence_rule)

    @property
    def by_severity(self) -> dict[str, int]:
        """Number of episodes of each severity, the highest severity first."""
        counts = Counter(SEVERITIES[severity] for severity, _, _ in self._episodes.values())
        return {severity.value: counts[severity] for severity in SHOWN_SEVERITIES}

    @property
    def suppressed(self) -> dict[str, int]:
        """Number of suppressed alarms by rule or window; 0 if it suppressed none.

        An episode counts if it is rare enough for the budget of `warning`.
        """
        policy = self.detector.policy
        if policy is None:
            return {}
        counts = dict.fromkeys(policy.names_by_key.values(), 0)
        warning_budget = float(self.detector.alarm_rates.budgets[0])
        for _, rule, rate in self._episodes.values():
            if rule and rate <= warning_budget:
                counts[policy.name_of(rule)] += 1
        return counts
