"""The texts that the demo prints: addresses of the services, and the summary at the end."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sensorwatch.common.scoring.detections import Severity
from sensorwatch.demo.alerting import PACKAGE, Alerting, SentAlert
from sensorwatch.demo.record_account import Counts, discrepancies, equation
from sensorwatch.demo.score import KindScore, Ratio, Score
from sensorwatch.demo.services import Services

Lines = Iterator[tuple[str, str]]
"""Lines of text, each with its style (a style name of rich)."""

_PLAIN_STYLE, _HEADING_STYLE, _DIM_STYLE, _GOOD_STYLE, _BAD_STYLE = (
    "",
    "bold",
    "dim",
    "bold green",
    "bold red",
)
_EXAMPLE_REQUEST = '{"rows":[{"timestamp":"2024-02-01T12:00:00","x1":30,"x2":72,"x3":-5}]}'
_MIN_RECORDS_FOR_FIGURES = 20_000
_CLIENT_NOTE = "# or another client built on librdkafka"

_NOTES = """\
The model was trained without labels. It compares each row with a forecast from
that sensor's previous rows. The settings [alarms] limit the false alarms per
sensor-day of the severities warning, major and critical. No setting limits info,
so do not send notifications for it. A malformed row is detected if it became
a dead letter."""


def addresses(services: Services) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the name and address of each service, and commands that use the service."""
    settings, api, consumer = services.settings, services.api_address, services.consumer_address
    topics = [*settings.topics.model_dump(exclude={"ledger", "state", "scores"}).values()]
    group_topics = [settings.ledger_topic, settings.state_topic, settings.scores_topic]
    topic_names = " ".join([*topics, *group_topics])
    yield "Live page", f"{api}/ shows the alarms in a browser", []
    yield (
        "Kafka",
        f"{services.broker}, topics {topic_names}",
        [
            f"{_sensorwatch_command()} tail --config {shlex.quote(str(services.config))}",
            f"kcat -b {services.broker} -t {settings.topics.anomalies} -C -o end  {_CLIENT_NOTE}",
        ],
    )
    yield (
        "API",
        f"{api}, documentation {api}/docs",
        [
            f"curl -s {api}/predict -H content-type:application/json -d '{_EXAMPLE_REQUEST}'",
            f"curl -s {api}/health",
        ],
    )
    yield "Alertmanager", _alertmanager_text(services.alerting), []
    targets = " and ".join(address.removeprefix("http://") for address in (consumer, api))
    yield (
        "Prometheus",
        f"targets {targets}",
        [f"curl -s {consumer}/metrics | grep ^sensorwatch_"],
    )


def _alertmanager_text(alerting: Alerting | None) -> str:
    if alerting is None:
        return f"not installed; with the program {PACKAGE} the demo also sends alerts"
    return f"{alerting.address}/ shows an alert for each critical incident"


def first_alert_text(alert: SentAlert, address: str) -> str:
    """Return the line about the first alert that Alertmanager has received."""
    return f"alert sent to {address}/: {alert.severity}: {alert.summary}"


def alert_count_text(count: int, address: str) -> str:
    """Return the line about the number of alerts at the end of the rows."""
    return f"alerts in Alertmanager at {address}/, which stops now: {count}"


def summary(
    counts: Counts, score: Score, reasons: Mapping[str, int], *, target_alert_rate: float
) -> Lines:
    """Yield the account, the comparison with the fault labels, and commands to try next."""
    yield from _account_lines(counts, reasons)
    yield "", _PLAIN_STYLE
    yield "Alarms compared with the fault labels of the simulator", _HEADING_STYLE
    yield from _severity_lines(score)
    yield "", _PLAIN_STYLE
    yield from _kind_lines(score)
    yield "", _PLAIN_STYLE
    yield from _total_lines(score, target_alert_rate)
    yield "", _PLAIN_STYLE
    yield from ((f"  {line}", _DIM_STYLE) for line in _NOTES.splitlines())
    if counts.records_in < _MIN_RECORDS_FOR_FIGURES:
        yield "  A short run has few faults, so these figures are rough.", _DIM_STYLE
    yield "", _PLAIN_STYLE
    yield "Next", _HEADING_STYLE
    yield from _next_commands()
    yield "", _PLAIN_STYLE
    yield _closing_line(score), _HEADING_STYLE


def _closing_line(score: Score) -> str:
    """Return the number of critical alarms, and how many of them are true."""
    (precision,) = (
        line.precision for line in score.severities if line.severity == Severity.CRITICAL
    )
    return f"alarms: {precision.total} critical, {precision.part} true"


def _account_lines(counts: Counts, reasons: Mapping[str, int]) -> Lines:
    yield equation(counts), _HEADING_STYLE
    problems = discrepancies(counts)
    if problems:
        yield "The account does NOT add up:", _BAD_STYLE
        yield from ((f"  - {problem}", _BAD_STYLE) for problem in problems)
    else:
        yield (
            "The account adds up: the records delivered by the producer, the end offsets of",
            _GOOD_STYLE,
        )
        yield (
            "the topic, the ledger, and the events and dead letters read back all agree.",
            _GOOD_STYLE,
        )
    if counts.foreign_records:
        yield f"{counts.foreign_records} of the records came from another producer.", _PLAIN_STYLE
    if counts.duplicates:
        yield (
            f"{counts.duplicates} results came twice: delivery is at least once here.",
            _PLAIN_STYLE,
        )
    if reasons:
        reason_counts = ", ".join(f"{code} {count}" for code, count in sorted(reasons.items()))
        yield f"Dead letters by reason: {reason_counts}", _PLAIN_STYLE


def _severity_lines(score: Score) -> Lines:
    yield _table_line("severity", "alarms", "true", "precision", "faults found"), _DIM_STYLE
    for line in score.severities:
        yield (
            _table_line(
                line.severity,
                str(line.precision.total),
                str(line.precision.part),
                _percent(line.precision),
                f"{line.recall.part} of {line.recall.total}",
            ),
            _HEADING_STYLE if line.severity == Severity.CRITICAL else _PLAIN_STYLE,
        )
    yield (
        _table_line(
            "any",
            str(score.episode_precision.total),
            str(score.episode_precision.part),
            _percent(score.episode_precision),
        ),
        _PLAIN_STYLE,
    )
    yield (
        "  An alarm is an episode: consecutive anomalous rows of a sensor. It is true if at least",
        _DIM_STYLE,
    )
    yield (
        "  one of its rows has a fault. Faults found: those in an alarm of at least this severity.",
        _DIM_STYLE,
    )


def _kind_lines(score: Score) -> Lines:
    heading = ("fault", "episodes", "detected", "rows", "detected", "row recall")
    yield _table_line(*heading), _DIM_STYLE
    for kind in score.kinds:
        yield _table_line(kind.kind, *_kind_cells(kind)), _PLAIN_STYLE


def _kind_cells(kind: KindScore) -> Iterator[str]:
    counts = (kind.episodes, kind.episodes_detected, kind.rows, kind.rows_detected)
    yield from map(str, counts)
    yield _percent(Ratio(kind.rows_detected, kind.rows))


def _table_line(heading: str, *cells: str) -> str:
    return f"  {heading:<20}" + "".join(f"{cell:>13}" for cell in cells)


def _total_lines(score: Score, target_alert_rate: float) -> Lines:
    recall, precision = score.row_recall, score.row_precision
    yield f"  rows: recall {_share(recall)}, precision {_share(precision)}", _PLAIN_STYLE
    rate_text = f"{_share(score.false_alarms)} healthy rows; target {target_alert_rate:.1%}"
    yield f"  false alarm rate {rate_text}", _PLAIN_STYLE
    rows = score.false_alarms_beside_faults
    yield (
        f"  {rows} of these rows are in true alarm episodes, which can outlast the fault",
        _PLAIN_STYLE,
    )


def _next_commands() -> Lines:
    sample_file = "data/raw/sample.csv"
    commands = {
        f"{_sensorwatch_command()} produce --out {sample_file}": "two weeks of rows as CSV",
        f"{_sensorwatch_command()} train --data {sample_file}": "a model in ./registry",
        f"{_sensorwatch_command()} serve": "the API at 127.0.0.1:8000/docs",
    }
    width = max(map(len, commands))
    for command, purpose in commands.items():
        yield f"  {command:<{width}}   # {purpose}", _PLAIN_STYLE


def _share(ratio: Ratio) -> str:
    return f"{_percent(ratio)} ({ratio.part} of {ratio.total})"


def _percent(ratio: Ratio) -> str:
    return f"{ratio.part / ratio.total:.1%}" if ratio.total else "-"


def _sensorwatch_command() -> str:
    """Return the command that starts `sensorwatch` from the working folder."""
    script = Path(sys.executable).parent / "sensorwatch"
    if not script.exists():
        return "sensorwatch"
    working_folder = Path.cwd()
    return shlex.quote(
        str(script.relative_to(working_folder) if script.is_relative_to(working_folder) else script)
    )
