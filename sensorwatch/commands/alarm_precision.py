"""Reads alarms and verdicts, and counts them."""

from sensorwatch.common.alarms.events import event_instant
from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.common.policy.calendar_intervals import to_microseconds
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.verdicts.precision import (
    PrecisionReport,
    judged_alarms,
    precision_report,
    recorded_alarms,
)
from sensorwatch.common.verdicts.verdict_topic import read_verdicts
from sensorwatch.episodes.episode_search import EpisodeSelection, read_book, selected_episodes


def read_report(settings: Settings, lowest_severity: str, since: int | None) -> PrecisionReport:
    """Return the precision report. `since`: earliest time of an alarm's newest event, microseconds.

    An alarm that the anomaly topic no longer has counts with the facts of its verdict.
    """
    book = read_book(settings.kafka, settings.topics.anomalies)
    verdicts = read_verdicts(settings.kafka, settings.verdicts_topic)
    episodes = selected_episodes(book, EpisodeSelection(lowest_severity, since=since))
    earlier_records = [
        record
        for record in verdicts.values()
        if book.get(record.episode_id) is None
        and severity_rank(record.severity) >= severity_rank(lowest_severity)
        and (since is None or to_microseconds(event_instant(record.end or record.begin)) >= since)
    ]
    return precision_report([*judged_alarms(episodes, verdicts), *recorded_alarms(earlier_records)])
