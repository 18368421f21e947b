"""Compare the false alarm episodes per sensor-day on clean streams with the budget."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.quality.alarms.budget_streams import BudgetStream, clean_rows
from benchmarks.quality.alarms.episodes import episode_table
from benchmarks.quality.alarms.figures import NOT_KNOWN
from benchmarks.quality.alarms.scored_rows import ANY, LEVELS, fit_and_score
from benchmarks.quality.alarms.sensor_rows import DAY_SECONDS, SECOND_US, SensorRows, simulated_rows
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import Settings

MIN_EXPECTED = 20.0
"""Smallest number of false episodes, expected by the budget, for which a rate is judged."""
MAX_RATIO, MAX_RATIO_SHORT_TRAINING = 2.0, 3.0
"""Largest accepted ratio of the realised to the configured rate."""
SHORT_TRAINING = "many sensors, trained on 100 rows of each"
SHORT_TRAINING_ROWS, SHORT_TRAINING_JUDGED_ROWS, SKIPPED_ROWS = 100, 3_000, 500
POOLED = "all of these"


@dataclass(frozen=True, slots=True)
class CleanRun:
    """The size of a clean stream."""

    kind: BudgetStream
    interval_seconds: int
    sensors: int
    train_days: float
    judged_days: float


@dataclass(frozen=True, slots=True)
class RealisedRate:
    """The false alarm episodes of one stream."""

    stream: str
    interval_seconds: int
    sensor_days: float
    episodes: dict[str, int]
    """For each level of LEVELS, the number of episodes; all episodes are false."""
    rows_alarmed: float
    """Share of the rows with an alarm."""

    def rate(self, level: str) -> float:
        """Return the number of false episodes per sensor-day."""
        return self.episodes[level] / self.sensor_days


def runs(*, is_quick: bool) -> list[CleanRun]:
    """Return the clean streams; in quick mode, with fewer sensors and fewer kinds."""
    if is_quick:
        return [
            *(CleanRun(kind, 600, 10, 4, 100) for kind in BudgetStream),
            CleanRun(BudgetStream.DAILY, 60, 4, 3, 60),
            CleanRun(BudgetStream.DAILY, 1, 1, 0.3, 3),
        ]
    return [
        *(CleanRun(kind, 600, 50, 4, 60) for kind in BudgetStream),
        *(CleanRun(kind, 60, 20, 3, 30) for kind in BudgetStream),
        *(CleanRun(kind, 1, 4, 1, 6) for kind in BudgetStream),
    ]


def measure(run: CleanRun, *, seed: int = 0) -> RealisedRate:
    """Train on the first days of a clean stream, and count the alarms of the later days."""
    rows = clean_rows(
        run.kind,
        seed=seed,
        sensors=run.sensors,
        train_days=run.train_days,
        judged_days=run.judged_days,
        interval_seconds=run.interval_seconds,
    )
    return realised_rate(rows, run.kind.value)


def measure_short_training(
    *, sensors: int, judged_rows: int = SHORT_TRAINING_JUDGED_ROWS, seed: int = 0
) -> RealisedRate:
    """Train on 100 minutes of each sensor, then score a daily cycle that training has not seen."""
    rows = simulated_rows(
        sensors=sensors,
        steps=SHORT_TRAINING_ROWS + judged_rows,
        train_steps=SHORT_TRAINING_ROWS,
        interval_seconds=60,
        seed=seed,
    )
    return realised_rate(rows, SHORT_TRAINING, skipped_rows=SKIPPED_ROWS)


def realised_rate(rows: SensorRows, stream: str, *, skipped_rows: int = 0) -> RealisedRate:
    """Fit and score clean rows; ignore the first `skipped_rows` judged rows of each sensor."""
    _, scored = fit_and_score(rows)
    interval_us = round(rows.interval_seconds * SECOND_US)
    first_time = int(scored.event_time[0]) + skipped_rows * interval_us
    episodes = episode_table(scored)
    is_counted = episodes.first_time >= first_time
    is_counted_row = scored.event_time >= first_time
    sensor_days = float(is_counted_row.sum()) * rows.interval_seconds / DAY_SECONDS
    return RealisedRate(
        stream,
        round(rows.interval_seconds),
        sensor_days,
        {level: int((is_counted & episodes.reaches(level)).sum()) for level in LEVELS},
        float(scored.alarmed(ANY)[is_counted_row].mean()),
    )


def configured_rates() -> dict[str, float]:
    """Return the budgets in false episodes per sensor-day by severity; empty without budgets.

    The settings have a budget in the table `[alarms]`, key `false_alarms_per_sensor_day`.
    """
    alarm_settings = getattr(Settings(), "alarms", None)
    budget = getattr(alarm_settings, "false_alarms_per_sensor_day", None)
    if budget is None:
        return {}
    budgets = budget if isinstance(budget, Mapping) else vars(budget)
    return {level: float(budgets[level]) for level in LEVELS if budgets.get(level) is not None}


def pooled(rates: Sequence[RealisedRate]) -> Iterator[RealisedRate]:
    """For each cadence with several streams, yield the sum over these streams."""
    for interval in dict.fromkeys(rate.interval_seconds for rate in rates):
        parts = [rate for rate in rates if rate.interval_seconds == interval]
        if len(parts) == 1:
            continue
        sensor_days = sum(part.sensor_days for part in parts)
        yield RealisedRate(
            POOLED,
            interval,
            sensor_days,
            {level: sum(part.episodes[level] for part in parts) for level in LEVELS},
            sum(part.rows_alarmed * part.sensor_days for part in parts) / sensor_days,
        )


def table(rates: Sequence[RealisedRate], configured: Mapping[str, float]) -> Table:
    """Return the table of realised rates, with their ratios to the configured rates."""
    budget = ", ".join(f"{level} {rate:g}" for level, rate in configured.items()) or NOT_KNOWN
    return Table(
        "Clean streams: false alarm episodes per sensor-day (realised / configured)",
        ("", "a row in", "sensor-days", *LEVELS, "rows alarmed"),
        [
            (
                rate.stream,
                f"{rate.interval_seconds} s",
                f"{rate.sensor_days:.1f}",
                *(_cell_text(rate, level, configured) for level in LEVELS),
                f"{100 * rate.rows_alarmed:.2f} %",
            )
            for rate in rates
        ],
        f"Configured: {budget}. The ratio is given if the budget expects at least "
        f"{MIN_EXPECTED:g} episodes in these sensor-days. !: above {MAX_RATIO:g} times the budget "
        f"({MAX_RATIO_SHORT_TRAINING:g} times after short training). After short training, the "
        f"first {SKIPPED_ROWS} rows of each sensor are ignored, and the daily cycle is new.",
    )


def judged_ratio(rate: RealisedRate, level: str, configured: Mapping[str, float]) -> float | None:
    """Return the realised divided by the configured rate; None if too few episodes are expected."""
    expected = configured.get(level, 0.0) * rate.sensor_days
    return rate.episodes[level] / expected if expected >= MIN_EXPECTED else None


def _cell_text(rate: RealisedRate, level: str, configured: Mapping[str, float]) -> str:
    text = f"{rate.rate(level):.3f}"
    if level not in configured:
        return text
    ratio = judged_ratio(rate, level, configured)
    if ratio is None:
        return f"{text} ({configured[level] * rate.sensor_days:.1f} expected)"
    limit = MAX_RATIO_SHORT_TRAINING if rate.stream == SHORT_TRAINING else MAX_RATIO
    return f"{text} ({ratio:.2f}){'' if ratio <= limit else ' !'}"
