"""The texts that the demo prints: addresses of the services, and the summary at the end."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sensorwatch.demo.account import Counts, discrepancies, equation
from sensorwatch.demo.score import KindScore, Ratio, Score
from sensorwatch.demo.services import Services

Lines = Iterator[tuple[str, str]]
"""Lines of text, each with its style (a style name of rich)."""

_PLAIN, _HEAD, _DIM, _GOOD, _BAD = "", "bold", "dim", "bold green", "bold red"
_ROWS = '{"rows":[{"timestamp":"2024-02-01T12:00:00","x1":30,"x2":72,"x3":-5}]}'
_FEW_RECORDS = 20_000
_CLIENTS = "# or another client built on librdkafka"

_NOTES = """\
The model was trained without labels. It compares each row with a forecast from
that sensor's previous rows. A slow drift is detected late. Most false alarm
episodes have one row; the target alert rate allows these. A malformed row is
detected if it became a dead letter; it counts in recall only."""


def addresses(services: Services) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the name and address of each service, and commands that use the service."""
    settings, api, consumer = services.settings, services.api_address, services.consumer_address
    topics = [*settings.topics.model_dump(exclude={"ledger", "state"}).values()]
    names = " ".join([*topics, settings.ledger_topic, settings.state_topic])
    yield (
        "Kafka",
        f"{services.broker}, topics {names}",
        [
            f"{_sensorwatch_command()} tail --config {shlex.quote(str(services.config))}",
            f"kcat -b {services.broker} -t {settings.topics.anomalies} -C -o end  {_CLIENTS}",
        ],
    )
    yield (
        "API",
        f"{api}, documentation {api}/docs",
        [
            f"curl -s {api}/predict -H content-type:application/json -d '{_ROWS}'",
            f"curl -s {api}/health",
        ],
    )
    targets = " and ".join(address.removeprefix("http://") for address in (consumer, api))
    yield (
        "Prometheus",
        f"targets {targets}",
        [f"curl -s {consumer}/metrics | grep ^sensorwatch_"],
    )


def summary(
    counts: Counts, score: Score, reasons: Mapping[str, int], *, target_alert_rate: float
) -> Lines:
    """Yield the account, the comparison with the fault labels, and commands to try next."""
    yield from _account_lines(counts, reasons)
    yield "", _PLAIN
    yield "Alarms compared with the fault labels of the simulator", _HEAD
    yield from _kind_lines(score)
    yield "", _PLAIN
    yield from _total_lines(score, target_alert_rate)
    yield "", _PLAIN
    yield from ((f"  {line}", _DIM) for line in _NOTES.splitlines())
    if counts.records_in < _FEW_RECORDS:
        yield "  A short run has few faults, so these figures are rough.", _DIM
    yield "", _PLAIN
    yield "Next", _HEAD
    yield from _next_commands()


def _account_lines(counts: Counts, reasons: Mapping[str, int]) -> Lines:
    yield equation(counts), _HEAD
    problems = discrepancies(counts)
    if problems:
        yield "The account does NOT add up:", _BAD
        yield from ((f"  - {problem}", _BAD) for problem in problems)
    else:
        yield (
            "The account adds up: the records delivered by the producer, the end offsets of",
            _GOOD,
        )
        yield "the topic, the ledger, and the events and dead letters read back all agree.", _GOOD
    if counts.foreign:
        yield f"{counts.foreign} of the records came from another producer.", _PLAIN
    if counts.duplicates:
        yield f"{counts.duplicates} results came twice: delivery is at least once here.", _PLAIN
    if reasons:
        reason_counts = ", ".join(f"{code} {count}" for code, count in sorted(reasons.items()))
        yield f"Dead letters by reason: {reason_counts}", _PLAIN


def _kind_lines(score: Score) -> Lines:
    heading = ("fault", "episodes", "detected", "rows", "detected", "row recall")
    yield _table_line(*heading), _DIM
    for kind in score.kinds:
        yield _table_line(kind.kind, *_cells(kind)), _PLAIN


def _cells(kind: KindScore) -> Iterator[str]:
    counts = (kind.episodes, kind.episodes_detected, kind.rows, kind.rows_detected)
    yield from map(str, counts)
    yield _percent(Ratio(kind.rows_detected, kind.rows))


def _table_line(heading: str, *cells: str) -> str:
    return f"  {heading:<20}" + "".join(f"{cell:>11}" for cell in cells)


def _total_lines(score: Score, target_alert_rate: float) -> Lines:
    for name, recall, precision in (
        ("rows", score.row_recall, score.row_precision),
        ("episodes", score.episode_recall, score.episode_precision),
    ):
        yield f"  {name:<10} recall {_share(recall)}, precision {_share(precision)}", _HEAD
    yield "  An alarm episode is true if at least one of its alarms is on a labelled row.", _DIM
    rate = f"{_share(score.false_alarms)} healthy rows; target {target_alert_rate:.1%}"
    yield f"  false alarm rate {rate}", _PLAIN
    rows = score.false_alarms_beside_faults
    yield f"  {rows} of these rows are in true alarm episodes, which can outlast the fault", _PLAIN


def _next_commands() -> Lines:
    sample = "data/raw/sample.csv"
    commands = {
        f"{_sensorwatch_command()} produce --out {sample}": "two weeks of rows as CSV",
        f"{_sensorwatch_command()} train --data {sample}": "a model in ./registry",
        f"{_sensorwatch_command()} serve": "the API at 127.0.0.1:8000/docs",
    }
    width = max(map(len, commands))
    for command, purpose in commands.items():
        yield f"  {command:<{width}}   # {purpose}", _PLAIN


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
