"""The default detector with a part taken out, calibrated anew without it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.quality.backtest_runs import MAX_ROWS, Judged, Stream, judged_of
from sensorwatch.common.model.decision import Decision, RarityTable
from sensorwatch.common.model.plan import forecast_plan
from sensorwatch.common.model.tails import KNOTS, identity_tables
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector, learn_signal_ranges
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import CLEAN_TAIL_START, FloatColumn, IntColumn
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.trainer.backtest import score_on
from sensorwatch.trainer.cross_validation import looks_out_of_fold
from sensorwatch.trainer.dataset import by_time
from sensorwatch.trainer.imputation import filled
from sensorwatch.trainer.level_fitting import well_known
from sensorwatch.trainer.scorer_fitting import Fitted, Looks, fit_on
from sensorwatch.trainer.tail_fitting import calibrate_on
from sensorwatch.trainer.training import UNKEPT

NEVER_REACHED = 1e9


def _as_it_is(decision: Decision) -> Decision:
    return decision


@dataclass(frozen=True, slots=True)
class Variant:
    """What is different."""

    name: str
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    """Of the forest, the distance, the drift and the repeats."""
    every_block: bool = False
    """Calibrate on blocks of time that stand out too."""
    change: Callable[[Decision], Decision] = _as_it_is
    forget: Callable[[Memory], None] | None = None
    """What is done to the memory before every row."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """What all variants have in common on a stream."""

    readings: Readings
    """As they came, for training."""
    ordered: Readings
    fitted: Fitted
    looks: Looks


def judge(stream: Stream, variants: Sequence[Variant], how: TrainerSettings) -> list[Judged]:
    """Fit once on a stream's first rows; judge the others by each variant, causally."""
    readings, _ = collect_rows(stream.records[: stream.train_rows], stream.schema)
    ordered = filled(by_time(readings))
    fitted = fit_on(ordered, np.ones(len(ordered), dtype=np.bool_), stream.schema, how)
    looks = looks_out_of_fold(ordered, stream.schema, how)
    fit = _Fit(readings, ordered, fitted, looks)
    return [_judged(stream, fit, variant, how) for variant in variants]


def _judged(stream: Stream, fit: _Fit, variant: Variant, how: TrainerSettings) -> Judged:
    detector = _detector(stream, fit, variant, how)
    memory = detector.empty_memory()
    detector.detect(fit.readings, memory, positions=fit.readings.index)
    memory.adopt(detector)
    found = _outcomes(stream, detector, memory, variant.forget)
    return judged_of(found, stream.train_rows, stream.judged_rows)


def _detector(stream: Stream, fit: _Fit, variant: Variant, how: TrainerSettings) -> Detector:
    looks = fit.looks
    if variant.every_block:
        looks = replace(looks, block=np.zeros_like(looks.block))
    calibrated = calibrate_on(looks, how, weights=variant.weights)
    return Detector(
        version=UNKEPT,
        schema=stream.schema,
        plan=forecast_plan(stream.schema),
        levels=well_known(fit.fitted.settled, fit.ordered),
        forest=fit.fitted.forest,
        calibration=calibrated.calibration,
        ranges=learn_signal_ranges(fit.ordered),
        forecast=fit.fitted.forecast,
        decision=variant.change(calibrated.decision),
    )


def _outcomes(
    stream: Stream, detector: Detector, memory: Memory, forget: Callable[[Memory], None] | None
) -> Iterator[Outcome]:
    first = stream.train_rows
    # Nobody has two rows in as many as there are sensors: so each row finds what was forgotten.
    at_once = stream.sensors if forget else MAX_ROWS
    if forget:
        forget(memory)
    records = stream.records[first:]
    for outcome in score_on(records, detector, memory, first_row=first, max_rows=at_once):
        if forget:
            forget(memory)
        yield outcome


def _no_own_tail(memory: Memory) -> None:
    memory.floats[:, [FloatColumn.TAIL_START, FloatColumn.TAIL_SCALE]] = CLEAN_TAIL_START, 1.0


def _no_lags(memory: Memory) -> None:
    """Let every row be judged by what needs no memory but the sensor's level."""
    memory.ints[:, IntColumn.LAG_COUNT] = 0


def _at_once(decision: Decision) -> Decision:
    tables = decision.tables.copy()
    tables[RarityTable.SMOOTHED_SCORE, :KNOTS] = NEVER_REACHED
    # Without the smoothed score there is no larger one: the sum's rarity is the score.
    tables[RarityTable.MAX_OF_SUM_AND_SMOOTHED] = identity_tables(1)[0]
    return replace(decision, tables=tables)


WHOLE = Variant("whole")
VARIANTS = (
    WHOLE,
    Variant("without the forest", weights=(0.0, 1.0, 1.0, 1.0)),
    Variant("without the residual's length", weights=(1.0, 0.0, 1.0, 1.0)),
    Variant("without its drift", weights=(1.0, 1.0, 0.0, 1.0)),
    Variant("without exact repeats", weights=(1.0, 1.0, 1.0, 0.0)),
    Variant("forest alone", weights=(1.0, 0.0, 0.0, 0.0)),
    Variant("without smoothing", change=_at_once),
    Variant("unusual blocks calibrate too", every_block=True),
    Variant("without each sensor's own tail", forget=_no_own_tail),
    Variant("without lags: levels alone", forget=_no_lags),
)
