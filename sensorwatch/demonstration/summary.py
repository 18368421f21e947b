"""What the demonstration comes to, as lines of text."""

from collections.abc import Iterator, Mapping

from sensorwatch.demonstration.accounting import Counts, discrepancies, equation
from sensorwatch.demonstration.directions import next_commands
from sensorwatch.demonstration.truth import Score


def summary(
    counts: Counts, found: Score, reasons: Mapping[str, int], *, target_alert_rate: float
) -> Iterator[str]:
    """Yield the account, the comparison with the labels, and what to try next."""
    yield from _account(counts, reasons)
    yield ""
    yield from _quality(found, counts, target_alert_rate)
    yield ""
    yield "Next:"
    width = max(len(command) for command, _ in next_commands())
    for command, meaning in next_commands():
        yield f"  {command:<{width}}   # {meaning}"


def _account(counts: Counts, reasons: Mapping[str, int]) -> Iterator[str]:
    yield equation(counts)
    problems = discrepancies(counts)
    if problems:
        yield "It does NOT add up:"
        yield from (f"  - {problem}" for problem in problems)
    else:
        yield (
            "It adds up: offsets of the topic, delivered records, the ledger in the committed "
            "offsets, and the events and dead letters read back agree."
        )
    if counts.foreign:
        yield f"{counts.foreign} of the records were sent by somebody else."
    if counts.repeated:
        yield f"{counts.repeated} results came twice (at least once is all this broker can do)."
    if reasons:
        listed = ", ".join(f"{code} {n}" for code, n in sorted(reasons.items()))
        yield f"Dead letters by reason: {listed}"


def _quality(found: Score, counts: Counts, target_alert_rate: float) -> Iterator[str]:
    yield "Against the simulator's labels:"
    yield f"  {'fault':<20}{'episodes':>10}{'found':>8}{'rows':>9}{'found':>8}{'recall':>9}"
    for kind in found.kinds:
        yield (
            f"  {kind.kind:<20}{kind.episodes:>10}{kind.episodes_found:>8}{kind.rows:>9}"
            f"{kind.rows_found:>8}{_percent(kind.rows_found, kind.rows):>9}"
        )
    rows, rows_found = found.rows
    episodes, episodes_found = found.episodes
    alarms = found.true_alarms + found.false_alarms
    yield (
        f"  by row:     recall {_share(rows_found, rows)}, "
        f"precision {_share(found.true_alarms, alarms)} of the anomalies"
    )
    counted = found.alarmed_episodes + found.false_alarms
    yield (
        f"  by episode: recall {_share(episodes_found, episodes)}, "
        f"precision {_share(found.alarmed_episodes, counted)}: "
        "a fault counts once, each false alarm once"
    )
    yield (
        f"  false alarms: {_share(found.false_alarms, found.healthy_rows)} healthy rows; "
        f"the model is calibrated to {target_alert_rate:.1%}"
    )
    yield from _meaning(counts)


def _meaning(counts: Counts) -> Iterator[str]:
    yield "  The model judges each row by itself and has seen no label. A stuck sensor repeats a"
    yield "  healthy value, so it stays unseen; a drift is seen once it is far enough from home."
    yield "  A malformed row counts as found when it became a dead letter."
    if counts.records_in < 20_000:
        yield "  A short run has few faults: these figures are rough."


def _share(part: int, whole: int) -> str:
    return f"{_percent(part, whole)} ({part} of {whole})"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
