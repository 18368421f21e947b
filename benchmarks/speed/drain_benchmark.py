"""Measure how fast each system reads a filled topic to its end, in several rounds."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.report.plots import Bar, bars
from benchmarks.speed import compared_systems as compared
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
from sensorwatch.common.svg import OUR_COLOUR, PLAIN_COLOUR, TRIVIAL_COLOUR


def run_rounds(
    systems: Sequence[ComparedSystem], drain_setup: DrainSetup, rounds: int
) -> list[Round]:
    """Run all systems in each round, so that other load on the machine affects them equally."""
    rounds_run: list[Round] = []
    for round_index in range(rounds):
        runs = {system.name: _try_run(system, drain_setup, round_index) for system in systems}
        rounds_run.append({name: run for name, run in runs.items() if run is not None})
    return rounds_run


def drain_few_sensors(testbed: Testbed) -> SectionResult:
    """Measure how fast the hand-written loops and sensorwatch's worker drain a topic."""
    options = testbed.options
    drain_setup = testbed.drain_setup(sensors=options.few_sensors, rows=options.rows)
    systems = [
        *compared.hand_written_loops(),
        compared.our_worker(compared.PLAIN_WORKER, "plain"),
        compared.our_worker(compared.DEFAULT_WORKER, "forecast"),
    ]
    rounds = run_rounds(systems, drain_setup, options.rounds)
    title = f"Drain: {options.rows:,} rows of {options.few_sensors:,} sensors, one partition"
    verdicts = [
        Verdict(
            goals.PLAIN_RATE,
            median_and_range(rate_ratios(rounds, compared.PLAIN_WORKER, compared.EMPTY_LOOP)),
        ),
        Verdict(
            goals.PLAIN_CPU,
            median_and_range(cpu_ratios(rounds, compared.PLAIN_WORKER, compared.EMPTY_LOOP)),
        ),
        Verdict(
            goals.DEFAULT_RATE,
            median_and_range(rate_ratios(rounds, compared.DEFAULT_WORKER, compared.EMPTY_LOOP)),
        ),
        Verdict(
            goals.EXPERT,
            median_and_range(rate_ratios(rounds, compared.PLAIN_WORKER, compared.EXPERT_LOOP)),
        ),
        _memory_verdict(goals.MEMORY_FEW, rounds, options.few_sensors),
    ]
    plots = {"drain": plot(title, systems, rounds)}
    return SectionResult(
        Section(title, [table(title, systems, rounds, drain_setup)], plots), verdicts
    )


def drain_many_sensors(testbed: Testbed) -> SectionResult:
    """Measure how fast the default detector drains a topic with many sensors."""
    options = testbed.options
    drain_setup = testbed.drain_setup(sensors=options.many_sensors, rows=options.rows)
    systems = [
        compared.hand_written_loops()[0],
        compared.our_worker(compared.DEFAULT_WORKER, "forecast"),
    ]
    rounds = run_rounds(systems, drain_setup, options.rounds)
    title = f"Drain: {options.rows:,} rows of {options.many_sensors:,} sensors, one partition"
    note = f"{options.many_sensors:,} sensors"
    rates = median_and_range(rate_ratios(rounds, compared.DEFAULT_WORKER, compared.EMPTY_LOOP))
    verdicts = [
        Verdict(goals.MANY_RATE, rates, note),
        _memory_verdict(goals.MEMORY_MANY, rounds, options.many_sensors),
    ]
    return SectionResult(Section(title, [table(title, systems, rounds, drain_setup)]), verdicts)


def drain_peers(testbed: Testbed) -> SectionResult:
    """Measure stream frameworks and sensorwatch's worker; list the frameworks that cannot run."""
    options = testbed.options
    drain_setup = testbed.drain_setup(sensors=options.few_sensors, rows=options.rows)
    systems, missing_notes = (
        [compared.hand_written_loops()[0], compared.our_worker(compared.PLAIN_WORKER, "plain")],
        [],
    )
    for peer in PEERS:
        try:
            systems.append(peer.as_compared_system(testbed))
        except PeerUnavailable as reason:
            missing_notes.append(f"{peer.name}: {reason}")
    rounds = run_rounds(systems, drain_setup, options.rounds)
    failed_systems = [system for system in systems if not runs_of(rounds, system.name)]
    missing_notes += [f"{system.name}: every run failed" for system in failed_systems]
    systems = [system for system in systems if system not in failed_systems]
    title = "Drain by stream frameworks"
    drain_table = table(title, systems, rounds, drain_setup)
    notes = [drain_table.note, _PEERS_NOTE, *(f"Not measured: {text}." for text in missing_notes)]
    verdicts = _peer_verdicts(rounds)
    plots = {"peers": plot(title, systems, rounds)}
    return SectionResult(
        Section(title, [replace(drain_table, note=" ".join(notes))], plots), verdicts
    )


def _peer_verdicts(rounds: Sequence[Round]) -> list[Verdict]:
    """Compare sensorwatch's worker with Spark, and with the fastest of the other frameworks."""
    ratios = {peer.name: rate_ratios(rounds, compared.PLAIN_WORKER, peer.name) for peer in PEERS}
    ratios_by_peer = {name: peer_ratios for name, peer_ratios in ratios.items() if peer_ratios}
    spark = ratios_by_peer.pop(SPARK, None)
    verdicts = [Verdict(goals.SPARK, median_and_range(spark))] if spark else []
    pydantic_ratios = {
        name: peer_ratios
        for name, peer_ratios in ratios_by_peer.items()
        if compared.PYDANTIC in name
    }
    for target, ratios_to_compare in (
        (goals.FRAMEWORK, pydantic_ratios),
        (goals.FRAMEWORK_TUNED, ratios_by_peer),
    ):
        if ratios_to_compare:
            name = min(
                ratios_to_compare, key=lambda peer: median_and_range(ratios_to_compare[peer]).median
            )
            verdicts.append(Verdict(target, median_and_range(ratios_to_compare[name]), name))
    return verdicts


_PEERS_NOTE = (
    "Each framework has its own environment (`benchmarks/speed/peers/`). If the table names no "
    "decoder, it decodes with msgspec. It scores batches with scikit-learn, and drains fewer rows "
    "than our worker. Spark and Flink run on a long and on a short topic. Only the difference of "
    "the two times is used, so their start is not counted. The CPU time of all their processes is "
    "counted."
)


def table(
    title: str, systems: Sequence[ComparedSystem], rounds: Sequence[Round], drain_setup: DrainSetup
) -> Table:
    """Return a table of rates and CPU times, and of their ratios to those of the empty loop."""
    rows = []
    for system in systems:
        runs = runs_of(rounds, system.name)
        peak_memory_mb = max(run.peak_mb for run in runs)
        rows.append(
            (
                system.name,
                median_and_range([run.rate for run in runs]).text(0),
                median_and_range([run.cpu_per_million for run in runs]).text(2),
                median_and_range(rate_ratios(rounds, system.name, compared.EMPTY_LOOP)).text(3),
                median_and_range(cpu_ratios(rounds, system.name, compared.EMPTY_LOOP)).text(1),
                system.guarantee,
                f"{runs[-1].events:,}",
                f"{runs[-1].dead_letters:,}",
                f"{peak_memory_mb:.0f}" if peak_memory_mb else "-",
            )
        )
    columns = ("system", "rows/s", "CPU s per million rows", "rate / empty loop")
    more_columns = ("CPU time / empty loop", "guarantee", "events", "dead letters", "peak MB")
    loaded_topic = drain_setup.loaded_topic
    return Table(
        title,
        columns + more_columns,
        rows,
        f"Each figure is the median (lowest..highest) of {len(rounds)} runs. The systems ran in "
        "turn, each in its own process. Each ratio compares two runs of the same round. A row has "
        f"{loaded_topic.payload_bytes / loaded_topic.rows:.0f} bytes, and "
        f"{loaded_topic.bad_rows:,} rows cannot be read. Our worker is measured from its first to "
        "its last commit, as seen in the committed offsets. The other systems are measured from "
        "their first to their last row.",
    )


def plot(title: str, systems: Sequence[ComparedSystem], rounds: Sequence[Round]) -> str:
    """Return a bar plot of the systems' median rates."""
    bars_to_draw = []
    for system in systems:
        rate = median_and_range([run.rate for run in runs_of(rounds, system.name)]).median
        bars_to_draw.append(Bar(system.name, rate, _colour(system.name), f"{rate:,.0f}"))
    return bars(f"{title}: rows/s", bars_to_draw, top=max(bar.value for bar in bars_to_draw))


def _colour(name: str) -> str:
    if name.startswith("ours"):
        return OUR_COLOUR
    return TRIVIAL_COLOUR if name.startswith("empty") else PLAIN_COLOUR


def _memory_verdict(target: goals.SpeedTarget, rounds: Sequence[Round], sensors: int) -> Verdict:
    figures = [run.memory_mb for run in runs_of(rounds, compared.DEFAULT_WORKER)]
    return Verdict(
        target, median_and_range(figures), f"default detector, {sensors:,} sensors, after the drain"
    )


def _try_run(system: ComparedSystem, drain_setup: DrainSetup, round_index: int) -> DrainRun | None:
    """Run a system once; return None if it fails and is not sensorwatch."""
    try:
        run = system.run(drain_setup)
    except PeerUnavailable as failure:
        print(f"round {round_index + 1}: {system.name} failed: {failure}", flush=True)
        return None
    print(
        f"round {round_index + 1}: {system.name}: {run.rate:,.0f} rows/s, "
        f"{run.cpu_per_million:.2f} CPU s per million",
        flush=True,
    )
    return run
