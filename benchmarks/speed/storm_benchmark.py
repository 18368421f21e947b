"""Compare the worker's rate on a topic with many anomalous rows with that on a clean topic."""

import uuid
from dataclasses import dataclass, replace

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import measure_drain
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
from benchmarks.speed.testbed import DrainSetup, Testbed, broker_config
from benchmarks.speed.topic_loading import load_topic
from sensorwatch.common.runtime.setting_choices import EmittedEvents

SOME_STORMS = 0.033
"""Share of the rows in storms. About 7 % of the rows are in alarms, because alarms last longer than
the storms."""
MAX_ROWS_PER_SENSOR = 600
"""After about 700 rows of a storm, a sensor's own tail has adapted, and its alarm ends."""


@dataclass(frozen=True, slots=True)
class StormRun:
    """A drain of a topic with a given share of rows in storms and a given event setting."""

    storm_share: float
    emit: EmittedEvents
    name: str


CLEAN = StormRun(0.0, EmittedEvents.ROWS, "clean")
STORM_RUNS = [
    CLEAN,
    *(
        StormRun(share, emit, f'{description}, emit = "{emit}"')
        for share, description in ((SOME_STORMS, "some rows"), (1.0, "every row"))
        for emit in EmittedEvents
    ),
]


def drain_storms(testbed: Testbed) -> SectionResult:
    """Measure in turn how the default detector drains a clean stream and streams with storms."""
    setups = {
        share: _drain_setup(testbed, share) for share in {run.storm_share for run in STORM_RUNS}
    }
    rounds: list[Round] = [
        {run.name: _drain(run, setups[run.storm_share]) for run in STORM_RUNS}
        for _ in range(testbed.options.rounds)
    ]
    title = f"Storm: {_rows(testbed):,} rows, many of them anomalous, default detector"
    return SectionResult(Section(title, [_table(title, rounds)]), _verdicts(rounds))


def _drain_setup(testbed: Testbed, storm_share: float) -> DrainSetup:
    models, rows = testbed.trained_models(testbed.options.few_sensors), _rows(testbed)
    stream = replace(models.stream(rows), is_clean=True, storm_share=storm_share)
    print(f"filling a topic with {rows} rows, {storm_share:.1%} of them in storms ...", flush=True)
    topic = testbed.kafka.create_topic(f"storm-{uuid.uuid4().hex[:8]}", 1)
    return DrainSetup(
        testbed.kafka, load_topic(broker_config(testbed.kafka), topic, 1, stream), models
    )


def _rows(testbed: Testbed) -> int:
    return min(testbed.options.rows, MAX_ROWS_PER_SENSOR * testbed.options.few_sensors)


def _drain(storm_run: StormRun, setup: DrainSetup) -> DrainRun:
    job = setup.job("storm", "forecast", {"consumer__emit": storm_run.emit.value})
    run = measure_drain(job, setup.loaded_topic.rows)
    print(
        f"{storm_run.name}: {run.rate:,.0f} rows/s, {run.cpu_per_million:.2f} CPU s per million, "
        f"{run.events:,} anomalous rows",
        flush=True,
    )
    return run


def _verdicts(rounds: list[Round]) -> list[Verdict]:
    targets = {EmittedEvents.ROWS: goals.STORM_ROWS, EmittedEvents.EPISODES: goals.STORM_EPISODES}
    return [
        Verdict(targets[run.emit], median_and_range(rate_ratios(rounds, run.name, CLEAN.name)))
        for run in STORM_RUNS
        if run.storm_share == 1.0
    ]


def _table(title: str, rounds: list[Round]) -> Table:
    rows = [
        (
            run.name,
            median_and_range([drain.rate for drain in runs_of(rounds, run.name)]).text(0),
            median_and_range(rate_ratios(rounds, run.name, CLEAN.name)).text(2),
            median_and_range(cpu_ratios(rounds, run.name, CLEAN.name)).text(2),
            f"{runs_of(rounds, run.name)[-1].events:,}",
        )
        for run in STORM_RUNS
    ]
    return Table(
        title,
        ("run", "rows/s", "rate / clean stream", "CPU time / clean stream", "anomalous rows"),
        rows,
        f"Each figure is the median (lowest..highest) of {len(rounds)} runs in turn. Each ratio "
        "compares two runs of the same round. In storms, the first two signals jump by 30 "
        "standard deviations of the noise, up or down at random. No topic has invalid rows.",
    )
