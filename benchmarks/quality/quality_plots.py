"""Plots of the quality benchmarks' results."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import alert_rates as rates
from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality import published_results as published
from benchmarks.quality import quality_targets as goals
from benchmarks.quality import simulated_fleet as simulated
from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.compared_detectors import DEFAULT_NAME
from benchmarks.quality.nab_scoring import probation
from benchmarks.quality.skab_scoring import sum_counts
from benchmarks.report.plots import Bar, Point, Strip, bars, colour_of, ratios, scatter, strips
from sensorwatch.common.svg import PUBLISHED_COLOUR


def skab_plots(files: Sequence[skab.SkabFile], runs: Sequence[skab.SkabRun]) -> Mapping[str, str]:
    """Return two plots: false against missed alarm rates, and the first detector's alarms."""
    points = []
    for run in runs:
        uncut, colour = sum_counts(run.counts), _colour(run.name)
        points.append(Point(run.name, uncut.far, uncut.mar, colour))
        if run.counts_by_seed:
            cut = sum_counts(run.counts_by_seed)
            points.append(Point(f"{run.name}, cut", cut.far, cut.mar, colour, hollow=True))
    points += [
        Point(f"published: {name}", far, mar, PUBLISHED_COLOUR)
        for name, (_, far, mar) in published.SKAB.items()
    ]
    first_run = runs[0]
    file_strips = [
        Strip(file.name, file.judged_labels(), results.is_anomaly)
        for file, results in zip(files, first_run.results, strict=True)
    ]
    axis_names = ("false alarm rate, %", "missed alarm rate, %")
    title = "SKAB: alarmed healthy rows against missed faulty rows"
    return {
        "skab-rates": scatter(title, points, axis_names=axis_names, target=goals.SKAB[1:]),
        "skab-files": strips(
            f"SKAB, rows after the first 400: {first_run.name}", file_strips, alarm_name="alarm"
        ),
    }


def nab_plots(files: Sequence[nab.NabFile], runs: Sequence[nab.NabRun]) -> Mapping[str, str]:
    """Return two plots: all detectors' scores, and the first detector's alarms in each file."""
    bars_drawn = [Bar(run.name, run.published.score, _colour(run.name)) for run in runs]
    bars_drawn += [
        Bar(f"{run.name}, own threshold", run.own_threshold_score, _colour(run.name))
        for run in runs
    ]
    bars_drawn += [
        Bar(f"published: {name}", score, PUBLISHED_COLOUR) for name, score in published.NAB.items()
    ]
    bars_drawn.sort(key=lambda bar: -bar.value)
    first_run = runs[0]
    file_strips = [
        Strip(file.name.split("/")[-1], _in_window(file), results.is_episode_start)
        for file, results in zip(files, first_run.results, strict=True)
    ]
    return {
        "nab-scores": bars("NAB, standard profile (100: perfect)", bars_drawn, top=100.0),
        "nab-files": strips(
            f"NAB, rows after probation: {first_run.name}", file_strips, alarm_name="alarm begins"
        ),
    }


def simulated_plots(runs: Sequence[simulated.FleetRun]) -> Mapping[str, str]:
    """Return a plot of the first detector's recall for each kind of fault."""
    first_run = runs[0]
    bars_drawn = [
        Bar(kind, 100 * result.recall, label=_recall_text(result))
        for kind, result in first_run.kinds.items()
    ]
    title = f"Simulated faults found, %: {first_run.name} (median delay in rows)"
    return {"simulated": bars(title, bars_drawn, top=100.0)}


def rate_plots(measured_rates: Sequence[rates.MeasuredRate]) -> Mapping[str, str]:
    """Return a plot of measured divided by configured alert rates, by stream and detector."""
    names = list(dict.fromkeys(measured_rate.name for measured_rate in measured_rates))
    streams = list(dict.fromkeys(measured_rate.stream for measured_rate in measured_rates))
    groups = [
        (
            stream,
            [
                Bar(f"{name}, {measured_rate.configured:g}", measured_rate.ratio, _colour(name))
                for name in names
                for measured_rate in measured_rates
                if (measured_rate.name, measured_rate.stream) == (name, stream)
            ],
        )
        for stream in streams
    ]
    title = "Alert rate on clean unseen streams"
    return {"rates": ratios(title, groups, factor=goals.RATE_FACTOR)}


def _in_window(file: nab.NabFile) -> NDArray[np.bool_]:
    in_window = np.zeros(file.labels.rows, dtype=np.bool_)
    for first, last in file.labels.windows:
        in_window[first : last + 1] = True
    return in_window[probation(file.labels.rows) :]


def _recall_text(result: simulated.KindResult) -> str:
    delay = "" if result.delay is None else f" ({result.delay:g})"
    return f"{100 * result.recall:.1f}{delay}"


def _colour(name: str) -> str:
    return colour_of(name, default_name=DEFAULT_NAME)
