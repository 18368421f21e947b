"""What the demonstration comes to, as lines of text."""

from collections.abc import Iterator, Mapping

from sensorwatch.demonstration.accounting import Counts, discrepancies, equation
from sensorwatch.demonstration.directions import next_commands
from sensorwatch.demonstration.truth import Score

Lines = Iterator[tuple[str, str]]
"""Text and rich's style of it."""

_PLAIN, _HEAD, _DIM, _GOOD, _BAD = "", "bold", "dim", "bold green", "bold red"

_MEANING = """\
The model has seen no label: it expects each row from the rows before it, and
alarms at what it did not expect. A drift shows only once it is far enough from
home. Most false alarms are single rows: that is what the target alert rate
allows. A malformed row counts as found when it became a dead letter: in recall,
but not in precision, which is about events."""


def summary(
    counts: Counts, found: Score, reasons: Mapping[str, int], *, target_alert_rate: float
) -> Lines:
    """Yield the account, the comparison with the labels, and what to try next."""
    yield from _account(counts, reasons)
    yield "", _PLAIN
    yield "Against the simulator's labels", _HEAD
    yield from _kinds(found)
    yield from _totals(found, target_alert_rate)
    yield from _meaning(counts)
    yield "", _PLAIN
    yield "Next", _HEAD
    width = max(len(command) for command, _ in next_commands())
    for command, meaning in next_commands():
        yield f"  {command:<{width}}   # {meaning}", _PLAIN


def _account(counts: Counts, reasons: Mapping[str, int]) -> Lines:
    yield equation(counts), _HEAD
    problems = discrepancies(counts)
    if problems:
        yield "It does NOT add up:", _BAD
        yield from ((f"  - {problem}", _BAD) for problem in problems)
    else:
        yield (
            "It adds up: what the producer delivered, the topic's end offsets, the ledger in",
            _GOOD,
        )
        yield "the committed offsets, and the events and dead letters read back all agree.", _GOOD
    if counts.foreign:
        yield f"{counts.foreign} of the records were sent by somebody else.", _PLAIN
    if counts.repeated:
        yield f"{counts.repeated} results came twice: at least once is all this broker can.", _PLAIN
    if reasons:
        listed = ", ".join(f"{code} {n}" for code, n in sorted(reasons.items()))
        yield f"Dead letters by reason: {listed}", _PLAIN


def _kinds(found: Score) -> Lines:
    yield f"  {'fault':<20}{'episodes':>10}{'found':>8}{'rows':>9}{'found':>8}{'recall':>9}", _DIM
    for kind in found.kinds:
        episodes = f"{kind.episodes:>10}{kind.episodes_found:>8}"
        rows = f"{kind.rows:>9}{kind.rows_found:>8}{_percent(kind.rows_found, kind.rows):>9}"
        yield f"  {kind.kind:<20}{episodes}{rows}", _PLAIN


def _totals(found: Score, target_alert_rate: float) -> Lines:
    rows, rows_found = found.rows
    recall = _share(rows_found, rows)
    precision = _share(found.true_alarms, found.true_alarms + found.false_alarms)
    yield f"  by row       recall {recall}, precision {precision}", _HEAD
    episodes, episodes_found = found.episodes
    recall = _share(episodes_found, episodes)
    precision = _share(found.alarmed_episodes, found.alarmed_episodes + found.false_alarms)
    yield f"  by episode   recall {recall}, precision {precision}", _HEAD
    yield "               (a fault counts once, each false alarm once)", _DIM
    rate = _share(found.false_alarms, found.healthy_rows)
    yield f"  false alarms {rate} healthy rows; calibrated to {target_alert_rate:.1%}", _PLAIN


def _meaning(counts: Counts) -> Lines:
    yield from ((f"  {line}", _DIM) for line in _MEANING.splitlines())
    if counts.records_in < 20_000:
        yield "  A short run has few faults: these figures are rough.", _DIM


def _share(part: int, whole: int) -> str:
    return f"{_percent(part, whole)} ({part} of {whole})"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
