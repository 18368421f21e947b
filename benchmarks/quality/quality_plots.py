"""The plots of each part, from its figures."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import alert_rates as rates
from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality import published_results as published
from benchmarks.quality import quality_targets as goals
from benchmarks.quality import simulated_fleet as simulated
from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.compared_detectors import OURS
from benchmarks.quality.nab_scoring import probation
from benchmarks.quality.skab_scoring import pooled
from benchmarks.report.plots import Bar, Point, Strip, bars, colour_of, ratios, scatter, strips
from benchmarks.report.svg import PUBLISHED


def skab_plots(files: Sequence[skab.SkabFile], runs: Sequence[skab.SkabRun]) -> Mapping[str, str]:
    """Draw false alarms against missed rows, and the first contestant's alarms file by file."""
    points = []
    for run in runs:
        uncut, colour = pooled(run.counts), _colour(run.name)
        points.append(Point(run.name, uncut.far, uncut.mar, colour))
        if run.cut:
            cut = pooled(run.cut)
            points.append(Point(f"{run.name}, cut", cut.far, cut.mar, colour, hollow=True))
    points += [
        Point(f"published: {name}", far, mar, PUBLISHED)
        for name, (_, far, mar) in published.SKAB.items()
    ]
    first = runs[0]
    lines = [
        Strip(file.name, file.truth(), judged.is_anomaly)
        for file, judged in zip(files, first.judged, strict=True)
    ]
    axes = ("false alarm rate, %", "missed alarm rate, %")
    title = "SKAB: alarmed healthy rows against missed faulty rows"
    return {
        "skab-rates": scatter(title, points, axes=axes, good=goals.SKAB[1:]),
        "skab-files": strips(f"SKAB, rows after the first 400: {first.name}", lines, key="alarm"),
    }


def nab_plots(files: Sequence[nab.NabFile], runs: Sequence[nab.NabRun]) -> Mapping[str, str]:
    """Draw the scores, and the first contestant's alarms file by file."""
    bars_or_rates = [Bar(run.name, run.published.score, _colour(run.name)) for run in runs]
    bars_or_rates += [
        Bar(f"{run.name}, own threshold", run.own_threshold_score, _colour(run.name))
        for run in runs
    ]
    bars_or_rates += [
        Bar(f"published: {name}", score, PUBLISHED) for name, score in published.NAB.items()
    ]
    bars_or_rates.sort(key=lambda bar: -bar.value)
    first = runs[0]
    lines = [
        Strip(file.name.split("/")[-1], _windows(file), judged.starts)
        for file, judged in zip(files, first.judged, strict=True)
    ]
    return {
        "nab-scores": bars("NAB, standard profile (100: perfect)", bars_or_rates, top=100.0),
        "nab-files": strips(f"NAB, rows after probation: {first.name}", lines, key="alarm begins"),
    }


def simulated_plots(runs: Sequence[simulated.FleetRun]) -> Mapping[str, str]:
    """Draw the first contestant's recall by kind."""
    first = runs[0]
    bars_or_rates = [
        Bar(kind, 100 * point.recall, label=_percent(point)) for kind, point in first.kinds.items()
    ]
    title = f"Simulated faults found, %: {first.name} (median delay in rows)"
    return {"simulated": bars(title, bars_or_rates, top=100.0)}


def rate_plots(bars_or_rates: Sequence[rates.RealisedRate]) -> Mapping[str, str]:
    """Draw realised to configured rate by stream and contestant."""
    names = list(dict.fromkeys(point.name for point in bars_or_rates))
    streams = list(dict.fromkeys(point.stream for point in bars_or_rates))
    groups = [
        (
            stream,
            [
                Bar(f"{name}, {point.configured:g}", point.ratio, _colour(name))
                for name in names
                for point in bars_or_rates
                if (point.name, point.stream) == (name, stream)
            ],
        )
        for stream in streams
    ]
    title = "Alert rate on clean unseen streams"
    return {"rates": ratios(title, groups, factor=goals.RATE_FACTOR)}


def _windows(file: nab.NabFile) -> NDArray[np.bool_]:
    inside = np.zeros(file.labels.rows, dtype=np.bool_)
    for first, last in file.labels.windows:
        inside[first : last + 1] = True
    return inside[probation(file.labels.rows) :]


def _percent(point: simulated.KindResult) -> str:
    delay = "" if point.delay is None else f" ({point.delay:g})"
    return f"{100 * point.recall:.1f}{delay}"


def _colour(name: str) -> str:
    return colour_of(name, ours=OURS)
