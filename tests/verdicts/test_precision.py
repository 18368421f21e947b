"""The precision counts the verdicts on alarms by each dimension."""

from msgspec.structs import replace

from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.events import Signal
from sensorwatch.common.verdicts.precision import (
    DIMENSIONS,
    judged_alarms,
    precision_report,
    recorded_alarms,
)
from sensorwatch.common.verdicts.verdict import Verdict, VerdictRecord, VerdictSource, verdict_of
from tests.alarms.event_builders import an_alarm


def a_report_of(*verdicts: Verdict | None) -> tuple[EpisodeBook, dict[str, VerdictRecord]]:
    """Return a book with one alarm per verdict, and the verdicts that are not None."""
    book, records = EpisodeBook(), {}
    for number, verdict in enumerate(verdicts):
        severity = "critical" if number % 2 else "warning"
        state = book.add(an_alarm(f"sensors-0-{number}", number, severity=severity))
        assert state is not None
        if verdict is not None:
            records[state.id] = verdict_of(
                state, verdict, when=0, who="w", note="", source=VerdictSource.COMMAND
            )
    return book, records


def test_the_precision_is_the_share_of_true_verdicts() -> None:
    book, records = a_report_of(Verdict.TRUE, Verdict.FALSE, Verdict.TRUE, None, Verdict.EXPECTED)

    report = precision_report(judged_alarms(book.episodes(), records))

    assert report.total.precision == 0.5
    assert (report.total.alarms, report.total.judged, report.total.without_verdict) == (5, 4, 1)
    assert report.by_dimension.keys() == {*DIMENSIONS}
    by_severity = report.by_dimension["severity"]
    assert [*by_severity] == ["warning", "critical"]
    assert (by_severity["warning"].true, by_severity["warning"].expected) == (2, 1)
    assert by_severity["critical"].precision == 0.0


def test_an_alarm_without_events_counts_with_the_facts_of_its_verdict() -> None:
    book, records = a_report_of(Verdict.TRUE, Verdict.FALSE)

    from_records = precision_report(recorded_alarms(records.values()))

    assert from_records == precision_report(judged_alarms(book.episodes(), records))


def test_the_leading_signal_has_the_highest_attribution() -> None:
    signals = [
        Signal("x1", 5.0, 0.0, 1.0, "high", 0.2),
        Signal("x2", -4.0, 0.0, 1.0, "low", 0.8, expected=0.5),
    ]
    book = EpisodeBook()
    first = an_alarm("sensors-0-1", 1)
    later = an_alarm("sensors-0-1", 2, rows=2, start_minute=1)
    book.add(replace(first, signals=signals))
    state = book.add(replace(later, signals=signals[::-1]))

    assert state is not None
    leading = state.excursion.leading
    assert leading is not None
    assert (leading.name, leading.start, leading.peak) == ("x2", -4.5, 4.5)
    assert leading.directions == ("low",)
    assert state.excursion.patterns == ("spike",)
