"""The contest: contestants drain one topic in turn, round after round."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.report.plots import Bar, bars
from benchmarks.report.svg import OURS, PLAIN, TRIVIAL
from benchmarks.speed import compared_systems as who
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.compared_systems import ComparedSystem
from benchmarks.speed.peer_environments import PEERS, SPARK, PeerUnavailable
from benchmarks.speed.run_statistics import (
    DrainRun,
    Round,
    cpu_ratios,
    median_and_range,
    rate_ratios,
    runs_of,
)
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import DrainSetup, Testbed


def run_rounds(
    systems: Sequence[ComparedSystem], drain_setup: DrainSetup, rounds: int
) -> list[Round]:
    """Let each run once a round, so that what happens to the machine happens to all."""
    rounds_run: list[Round] = []
    for number in range(rounds):
        runs = {system.name: _try_run(system, drain_setup, number) for system in systems}
        rounds_run.append({name: run for name, run in runs.items() if run is not None})
    return rounds_run


def drain(bench: Testbed) -> SectionResult:
    """Measure who drains a topic how fast, with few sensors."""
    options = bench.options
    drain_setup = bench.drain_setup(sensors=options.few_sensors, rows=options.rows)
    systems = [
        *who.hand_written_loops(),
        who.our_worker(who.PLAIN, "plain"),
        who.our_worker(who.DEFAULT, "forecast"),
    ]
    rounds = run_rounds(systems, drain_setup, options.rounds)
    title = f"Drain: {options.rows:,} rows of {options.few_sensors:,} sensors, one partition"
    verdicts = [
        Verdict(goals.PLAIN_RATE, median_and_range(rate_ratios(rounds, who.PLAIN, who.EMPTY))),
        Verdict(goals.PLAIN_CPU, median_and_range(cpu_ratios(rounds, who.PLAIN, who.EMPTY))),
        Verdict(goals.DEFAULT_RATE, median_and_range(rate_ratios(rounds, who.DEFAULT, who.EMPTY))),
        Verdict(goals.EXPERT, median_and_range(rate_ratios(rounds, who.PLAIN, who.EXPERT))),
        _memory_verdict(goals.MEMORY_FEW, rounds, options.few_sensors),
    ]
    plots = {"drain": plot(title, systems, rounds)}
    return SectionResult(
        Section(title, [table(title, systems, rounds, drain_setup)], plots), verdicts
    )


def many(bench: Testbed) -> SectionResult:
    """Measure the default detector with many sensors."""
    options = bench.options
    drain_setup = bench.drain_setup(sensors=options.many, rows=options.rows)
    systems = [who.hand_written_loops()[0], who.our_worker(who.DEFAULT, "forecast")]
    rounds = run_rounds(systems, drain_setup, options.rounds)
    title = f"Drain: {options.rows:,} rows of {options.many:,} sensors, one partition"
    note = f"{options.many:,} sensors"
    rates = median_and_range(rate_ratios(rounds, who.DEFAULT, who.EMPTY))
    verdicts = [
        Verdict(goals.MANY_RATE, rates, note),
        _memory_verdict(goals.MEMORY_MANY, rounds, options.many),
    ]
    return SectionResult(Section(title, [table(title, systems, rounds, drain_setup)]), verdicts)


def peers(bench: Testbed) -> SectionResult:
    """Measure frameworks beside ours; one that cannot be had here is said to be missing."""
    options = bench.options
    drain_setup = bench.drain_setup(sensors=options.few_sensors, rows=options.rows)
    systems, missing = [who.hand_written_loops()[0], who.our_worker(who.PLAIN, "plain")], []
    for peer in PEERS:
        try:
            systems.append(peer.as_compared_system(bench))
        except PeerUnavailable as reason:
            missing.append(f"{peer.name}: {reason}")
    rounds = run_rounds(systems, drain_setup, options.rounds)
    failed = [system for system in systems if not runs_of(rounds, system.name)]
    missing += [f"{system.name}: every run failed" for system in failed]
    systems = [system for system in systems if system not in failed]
    title = "The same job by stream frameworks"
    rounds_run = table(title, systems, rounds, drain_setup)
    notes = [rounds_run.note, _PEERS_NOTE, *(f"Not measured: {text}." for text in missing)]
    verdicts = _peer_verdicts(rounds)
    plots = {"peers": plot(title, systems, rounds)}
    return SectionResult(
        Section(title, [replace(rounds_run, note=" ".join(notes))], plots), verdicts
    )


def _peer_verdicts(rounds: Sequence[Round]) -> list[Verdict]:
    """Compare with Spark, and with whichever of the others is the fastest."""
    ratios = {peer.name: rate_ratios(rounds, who.PLAIN, peer.name) for peer in PEERS}
    others = {name: systems for name, systems in ratios.items() if systems}
    spark = others.pop(SPARK, None)
    verdicts = [Verdict(goals.SPARK, median_and_range(spark))] if spark else []
    with_pydantic = {name: systems for name, systems in others.items() if who.PYDANTIC in name}
    for target, candidates in ((goals.FRAMEWORK, with_pydantic), (goals.FRAMEWORK_TUNED, others)):
        if candidates:
            name = min(candidates, key=lambda system: median_and_range(candidates[system]).median)
            verdicts.append(Verdict(target, median_and_range(candidates[name]), name))
    return verdicts


_PEERS_NOTE = (
    "Each in an environment of its own (`benchmarks/speed/peers/`), decoding with msgspec where "
    "nothing else is said, scoring with scikit-learn per batch; fewer rows than ours. Spark and "
    "Flink: what the rows between a short and a long topic took, so that their start is left out, "
    "with the CPU of all their processes."
)


def table(
    title: str, systems: Sequence[ComparedSystem], rounds: Sequence[Round], drain_setup: DrainSetup
) -> Table:
    """Write rates, CPU, and both as ratios to the empty loop of the same round."""
    rows = []
    for system in systems:
        runs = runs_of(rounds, system.name)
        memory = max(run.peak_mb for run in runs)
        rows.append(
            (
                system.name,
                median_and_range([run.rate for run in runs]).text(0),
                median_and_range([run.cpu_per_million for run in runs]).text(2),
                median_and_range(rate_ratios(rounds, system.name, who.EMPTY)).text(3),
                median_and_range(cpu_ratios(rounds, system.name, who.EMPTY)).text(1),
                system.guarantee,
                f"{runs[-1].events:,}",
                f"{runs[-1].dead_letters:,}",
                f"{memory:.0f}" if memory else "-",
            )
        )
    columns = ("", "rows/s", "CPU s per million rows", "rows/s of empty loop's")
    more = ("CPU of empty loop's", "guarantee", "events", "dead letters", "peak MB")
    loaded_topic = drain_setup.loaded_topic
    return Table(
        title,
        columns + more,
        rows,
        f"Median (lowest..highest) of {len(rounds)} runs in turn, each a process of its own; "
        f"ratios within a round. {loaded_topic.bytes / loaded_topic.rows:.0f} bytes a row, "
        f"{loaded_topic.bad:,} rows cannot be read. Ours: from its first commit to its last, "
        "seen in the committed offsets; "
        "the others: from their first row to their last.",
    )


def plot(title: str, systems: Sequence[ComparedSystem], rounds: Sequence[Round]) -> str:
    """Draw the rates."""
    bars_to_draw = []
    for system in systems:
        rate = median_and_range([run.rate for run in runs_of(rounds, system.name)]).median
        bars_to_draw.append(Bar(system.name, rate, _colour(system.name), f"{rate:,.0f}"))
    return bars(f"{title}: rows/s", bars_to_draw, top=max(bar.value for bar in bars_to_draw))


def _colour(name: str) -> str:
    if name.startswith("ours"):
        return OURS
    return TRIVIAL if name.startswith("empty") else PLAIN


def _memory_verdict(target: goals.SpeedTarget, rounds: Sequence[Round], sensors: int) -> Verdict:
    figures = [run.memory_mb for run in runs_of(rounds, who.DEFAULT)]
    return Verdict(
        target, median_and_range(figures), f"default detector, {sensors:,} sensors, after the drain"
    )


def _try_run(
    as_compared_system: ComparedSystem, drain_setup: DrainSetup, number: int
) -> DrainRun | None:
    """Let a contestant run; None where it is a peer that failed."""
    try:
        run = as_compared_system.run(drain_setup)
    except PeerUnavailable as failure:
        print(f"round {number + 1}: {as_compared_system.name} failed: {failure}", flush=True)
        return None
    print(
        f"round {number + 1}: {as_compared_system.name}: {run.rate:,.0f} rows/s, "
        f"{run.cpu_per_million:.2f} CPU s per million",
        flush=True,
    )
    return run
