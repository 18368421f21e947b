"""Counts the alarms that a policy suppressed."""

from collections import Counter
from collections.abc import Sequence

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.scoring.detections import ClosedEpisode, Detections
from sensorwatch.common.scoring.status import STATUSES, Status

_LATE, _DUPLICATE = STATUSES.index(Status.LATE), STATUSES.index(Status.DUPLICATE)


def suppressed_alarms(
    detections: Detections, closed: Sequence[ClosedEpisode], alarm_rates: AlarmRates
) -> Counter[int]:
    """Return how many alarms each rule or window suppressed, by its number.

    An episode counts at its end, if it is still suppressed then and is rare enough for the budget
    of `warning`. A late or duplicate row is a separate episode, and counts at once.
    """
    warning_budget = float(alarm_rates.budgets[0])
    counts = Counter(
        episode.rule for episode in closed if episode.rule and episode.rate <= warning_budget
    )
    if detections.rule.any():
        is_separate = (detections.status == _LATE) | (detections.status == _DUPLICATE)
        is_counted = is_separate & (detections.episode_rate <= warning_budget)
        counts.update(detections.rule[is_counted & (detections.rule != 0)].tolist())
    return counts
