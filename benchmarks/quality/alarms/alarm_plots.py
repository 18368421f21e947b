"""Plots of false alarms against faults found, and of realised against configured rates."""

from collections.abc import Mapping, Sequence

from benchmarks.quality.alarms.budget_rates import MAX_RATIO, RealisedRate, judged_ratio
from benchmarks.quality.alarms.fleet_alarms import FleetAlarms, found_by_budget
from benchmarks.quality.alarms.scored_rows import LEVELS
from benchmarks.report.log_plots import Curve, log_linear_plot
from benchmarks.report.plots import Bar, ratios


def fleet_plots(runs: Sequence[FleetAlarms]) -> dict[str, str]:
    """Return a plot of the share of faults found against the false alarms per sensor-day."""
    curves = [
        Curve(kind, [(rate, 100 * share) for rate, share in points])
        for kind, points in found_by_budget(runs).items()
    ]
    plot = log_linear_plot(
        "Simulated fleet: faults found by episodes above a peak score",
        curves,
        axis_names=("false alarm episodes per sensor-day", "faults found, %"),
        top=100.0,
    )
    return {"alarms-found": plot}


def budget_plots(rates: Sequence[RealisedRate], configured: Mapping[str, float]) -> dict[str, str]:
    """Return a plot of realised divided by configured rates; no plot if no rate is judged."""
    groups = []
    for rate in rates:
        bars = [
            Bar(level, ratio)
            for level in LEVELS
            if (ratio := judged_ratio(rate, level, configured)) is not None
        ]
        if bars:
            groups.append((f"{rate.stream}, {rate.interval_seconds} s", bars))
    if not groups:
        return {}
    title = "False alarm episodes per sensor-day on clean streams"
    return {"alarms-budget": ratios(title, groups, factor=MAX_RATIO)}
