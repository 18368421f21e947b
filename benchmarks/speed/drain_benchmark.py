"""The contest: contestants drain one topic in turn, round after round."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.report.plots import Bar, bars
from benchmarks.report.svg import OURS, PLAIN, TRIVIAL
from benchmarks.speed import compared_systems as who
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.compared_systems import Contestant
from benchmarks.speed.peer_environments import PEERS, SPARK, NoPeer
from benchmarks.speed.run_statistics import Round, Run, cpu_ratios, rate_ratios, runs_of, spread
from benchmarks.speed.section_result import Found
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Bench, Ground


def turns(found: Sequence[Contestant], ground: Ground, rounds: int) -> list[Round]:
    """Let each run once a round, so that what happens to the machine happens to all."""
    made: list[Round] = []
    for number in range(rounds):
        runs = {one.name: _run(one, ground, number) for one in found}
        made.append({name: run for name, run in runs.items() if run is not None})
    return made


def drain(bench: Bench) -> Found:
    """Measure who drains a topic how fast, with few sensors."""
    asked = bench.asked
    ground = bench.ground(sensors=asked.few, rows=asked.rows)
    found = [
        *who.hand_written(),
        who.ours(who.PLAIN, "plain"),
        who.ours(who.DEFAULT, "forecast"),
    ]
    rounds = turns(found, ground, asked.rounds)
    title = f"Drain: {asked.rows:,} rows of {asked.few:,} sensors, one partition"
    verdicts = [
        Verdict(goals.PLAIN_RATE, spread(rate_ratios(rounds, who.PLAIN, who.EMPTY))),
        Verdict(goals.PLAIN_CPU, spread(cpu_ratios(rounds, who.PLAIN, who.EMPTY))),
        Verdict(goals.DEFAULT_RATE, spread(rate_ratios(rounds, who.DEFAULT, who.EMPTY))),
        Verdict(goals.EXPERT, spread(rate_ratios(rounds, who.PLAIN, who.EXPERT))),
        _memory(goals.MEMORY_FEW, rounds, asked.few),
    ]
    plots = {"drain": plot(title, found, rounds)}
    return Found(Section(title, [table(title, found, rounds, ground)], plots), verdicts)


def many(bench: Bench) -> Found:
    """Measure the default detector with many sensors."""
    asked = bench.asked
    ground = bench.ground(sensors=asked.many, rows=asked.rows)
    found = [who.hand_written()[0], who.ours(who.DEFAULT, "forecast")]
    rounds = turns(found, ground, asked.rounds)
    title = f"Drain: {asked.rows:,} rows of {asked.many:,} sensors, one partition"
    note = f"{asked.many:,} sensors"
    rates = spread(rate_ratios(rounds, who.DEFAULT, who.EMPTY))
    verdicts = [
        Verdict(goals.MANY_RATE, rates, note),
        _memory(goals.MEMORY_MANY, rounds, asked.many),
    ]
    return Found(Section(title, [table(title, found, rounds, ground)]), verdicts)


def peers(bench: Bench) -> Found:
    """Measure frameworks beside ours; one that cannot be had here is said to be missing."""
    asked = bench.asked
    ground = bench.ground(sensors=asked.few, rows=asked.rows)
    found, missing = [who.hand_written()[0], who.ours(who.PLAIN, "plain")], []
    for peer in PEERS:
        try:
            found.append(peer.contestant(bench))
        except NoPeer as reason:
            missing.append(f"{peer.name}: {reason}")
    rounds = turns(found, ground, asked.rounds)
    failed = [one for one in found if not runs_of(rounds, one.name)]
    missing += [f"{one.name}: every run failed" for one in failed]
    found = [one for one in found if one not in failed]
    title = "The same job by stream frameworks"
    made = table(title, found, rounds, ground)
    notes = [made.note, _PEERS_NOTE, *(f"Not measured: {text}." for text in missing)]
    verdicts = _against_peers(rounds)
    plots = {"peers": plot(title, found, rounds)}
    return Found(Section(title, [replace(made, note=" ".join(notes))], plots), verdicts)


def _against_peers(rounds: Sequence[Round]) -> list[Verdict]:
    """Compare with Spark, and with whichever of the others is the fastest."""
    ratios = {peer.name: rate_ratios(rounds, who.PLAIN, peer.name) for peer in PEERS}
    others = {name: found for name, found in ratios.items() if found}
    spark = others.pop(SPARK, None)
    verdicts = [Verdict(goals.SPARK, spread(spark))] if spark else []
    usual = {name: found for name, found in others.items() if who.PYDANTIC in name}
    for goal, among in ((goals.FRAMEWORK, usual), (goals.FRAMEWORK_TUNED, others)):
        if among:
            name = min(among, key=lambda one: spread(among[one]).median)
            verdicts.append(Verdict(goal, spread(among[name]), name))
    return verdicts


_PEERS_NOTE = (
    "Each in an environment of its own (`benchmarks/speed/peers/`), decoding with msgspec where "
    "nothing else is said, scoring with scikit-learn per batch; fewer rows than ours. Spark and "
    "Flink: what the rows between a short and a long topic took, so that their start is left out, "
    "with the CPU of all their processes."
)


def table(
    title: str, found: Sequence[Contestant], rounds: Sequence[Round], ground: Ground
) -> Table:
    """Write rates, CPU, and both as ratios to the empty loop of the same round."""
    rows = []
    for one in found:
        runs = runs_of(rounds, one.name)
        memory = max(run.peak_mb for run in runs)
        rows.append(
            (
                one.name,
                spread([run.rate for run in runs]).text(0),
                spread([run.cpu_per_million for run in runs]).text(2),
                spread(rate_ratios(rounds, one.name, who.EMPTY)).text(3),
                spread(cpu_ratios(rounds, one.name, who.EMPTY)).text(1),
                one.guarantee,
                f"{runs[-1].events:,}",
                f"{runs[-1].dead_letters:,}",
                f"{memory:.0f}" if memory else "-",
            )
        )
    columns = ("", "rows/s", "CPU s per million rows", "rows/s of empty loop's")
    more = ("CPU of empty loop's", "guarantee", "events", "dead letters", "peak MB")
    filled = ground.filled
    return Table(
        title,
        columns + more,
        rows,
        f"Median (lowest..highest) of {len(rounds)} runs in turn, each a process of its own; "
        f"ratios within a round. {filled.bytes / filled.rows:.0f} bytes a row, {filled.bad:,} rows "
        "cannot be read. Ours: from its first commit to its last, seen in the committed offsets; "
        "the others: from their first row to their last.",
    )


def plot(title: str, found: Sequence[Contestant], rounds: Sequence[Round]) -> str:
    """Draw the rates."""
    drawn = []
    for one in found:
        rate = spread([run.rate for run in runs_of(rounds, one.name)]).median
        drawn.append(Bar(one.name, rate, _colour(one.name), f"{rate:,.0f}"))
    return bars(f"{title}: rows/s", drawn, top=max(bar.value for bar in drawn))


def _colour(name: str) -> str:
    if name.startswith("ours"):
        return OURS
    return TRIVIAL if name.startswith("empty") else PLAIN


def _memory(goal: goals.Goal, rounds: Sequence[Round], sensors: int) -> Verdict:
    figures = [run.memory_mb for run in runs_of(rounds, who.DEFAULT)]
    return Verdict(goal, spread(figures), f"default detector, {sensors:,} sensors, after the drain")


def _run(contestant: Contestant, ground: Ground, number: int) -> Run | None:
    """Let a contestant run; None where it is a peer that failed."""
    try:
        run = contestant.run(ground)
    except NoPeer as failure:
        print(f"round {number + 1}: {contestant.name} failed: {failure}", flush=True)
        return None
    print(
        f"round {number + 1}: {contestant.name}: {run.rate:,.0f} rows/s, "
        f"{run.cpu_per_million:.2f} CPU s per million",
        flush=True,
    )
    return run
