"""Variants of the default detector without one part; the other parts are calibrated again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.quality.backtest_runs import MAX_ROWS, JudgedRows, RecordStream, collect_judged
from sensorwatch.common.model.decision import Decision, RarityTable
from sensorwatch.common.model.plan import forecast_plan
from sensorwatch.common.model.signal_ranges import learn_signal_ranges
from sensorwatch.common.model.tails import KNOTS, identity_tables
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import CLEAN_TAIL_START, FloatColumn, IntColumn
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.trainer.alarm_fitting import fit_alarm_rates
from sensorwatch.trainer.backtest import score_records
from sensorwatch.trainer.cadence_fitting import DEFAULT_CADENCE
from sensorwatch.trainer.cross_validation import out_of_fold_scores
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.guard_fitting import FittedGuard, fit_guard
from sensorwatch.trainer.imputation import fill_missing
from sensorwatch.trainer.level_fitting import drop_sensors_with_few_rows
from sensorwatch.trainer.scorer_fitting import FittedScorer, RawScores, fit_scorer
from sensorwatch.trainer.tail_fitting import calibrate_decision
from sensorwatch.trainer.training import UNREGISTERED_VERSION

UNREACHABLE_SCORE = 1e9


def _keep_decision(decision: Decision) -> Decision:
    return decision


@dataclass(frozen=True, slots=True)
class Variant:
    """One change to the default detector, such as a part that is removed."""

    name: str
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    """Weights of the components, see `COMPONENTS`."""
    is_guarded: bool = True
    """False: the levels of the signals are not watched."""
    include_outlier_blocks: bool = False
    """True: calibrate on all blocks of time, including those with outliers."""
    change_decision: Callable[[Decision], Decision] = _keep_decision
    edit_memory: Callable[[Memory], None] | None = None
    """A function that changes the detector's memory before every scored row."""


@dataclass(frozen=True, slots=True)
class _SharedFit:
    """The training rows, fitted scorer and raw scores of a stream, which all variants share."""

    readings: Readings
    """Training rows in the order of the stream."""
    sorted_readings: Readings
    """Training rows in order of time, with missing values filled."""
    fitted_scorer: FittedScorer
    raw_scores: RawScores
    fitted_guard: FittedGuard


def score_with_variants(
    stream: RecordStream, variants: Sequence[Variant], trainer_settings: TrainerSettings
) -> list[JudgedRows]:
    """Fit once on a stream's training rows; score the later rows causally with each variant."""
    readings, _ = collect_rows(stream.records[: stream.train_rows], stream.schema)
    sorted_readings = fill_missing(sort_by_time(readings))
    fitted_scorer = fit_scorer(
        sorted_readings,
        np.ones(len(sorted_readings), dtype=np.bool_),
        stream.schema,
        trainer_settings,
    )
    raw_scores = out_of_fold_scores(sorted_readings, stream.schema, trainer_settings)
    fitted_guard = fit_guard(
        sorted_readings,
        drop_sensors_with_few_rows(fitted_scorer.levels, sorted_readings),
        step=DEFAULT_CADENCE,
        accept_after_rows=trainer_settings.alarms.accept_after_rows,
    )
    shared_fit = _SharedFit(readings, sorted_readings, fitted_scorer, raw_scores, fitted_guard)
    return [
        _score_with_variant(stream, shared_fit, variant, trainer_settings) for variant in variants
    ]


def _score_with_variant(
    stream: RecordStream,
    shared_fit: _SharedFit,
    variant: Variant,
    trainer_settings: TrainerSettings,
) -> JudgedRows:
    detector = _variant_detector(stream, shared_fit, variant, trainer_settings)
    memory = detector.empty_memory()
    detector.detect(shared_fit.readings, memory, positions=shared_fit.readings.index)
    memory.adopt(detector)
    outcomes = _score_records(stream, detector, memory, variant.edit_memory)
    return collect_judged(outcomes, stream.train_rows, stream.judged_rows)


def _variant_detector(
    stream: RecordStream,
    shared_fit: _SharedFit,
    variant: Variant,
    trainer_settings: TrainerSettings,
) -> Detector:
    raw_scores = shared_fit.raw_scores
    if variant.include_outlier_blocks:
        raw_scores = replace(raw_scores, block=np.zeros_like(raw_scores.block))
    guard = shared_fit.fitted_guard.guard if variant.is_guarded else None
    guard_score = shared_fit.fitted_guard.scores * variant.is_guarded
    calibrated = calibrate_decision(
        raw_scores, guard_score, trainer_settings, weights=variant.weights
    )
    return Detector(
        version=UNREGISTERED_VERSION,
        schema=stream.schema,
        plan=forecast_plan(stream.schema),
        levels=drop_sensors_with_few_rows(
            shared_fit.fitted_scorer.final_levels, shared_fit.sorted_readings
        ),
        forest=shared_fit.fitted_scorer.forest,
        calibration=calibrated.calibration,
        ranges=learn_signal_ranges(shared_fit.sorted_readings),
        alarm_rates=fit_alarm_rates(
            calibrated.clean_episodes,
            prior_scale=1.0,
            cadence=DEFAULT_CADENCE,
            sensors=stream.sensors,
            alarm_settings=trainer_settings.alarms,
        ),
        guard=guard,
        forecast=shared_fit.fitted_scorer.forecast,
        decision=variant.change_decision(calibrated.decision),
    )


def _score_records(
    stream: RecordStream,
    detector: Detector,
    memory: Memory,
    edit_memory: Callable[[Memory], None] | None,
) -> Iterator[Outcome]:
    first_row = stream.train_rows
    # Score one row of each sensor per call, so that the memory is edited before every row.
    max_rows = stream.sensors if edit_memory else MAX_ROWS
    if edit_memory:
        edit_memory(memory)
    records = stream.records[first_row:]
    for outcome in score_records(records, detector, memory, first_row=first_row, max_rows=max_rows):
        if edit_memory:
            edit_memory(memory)
        yield outcome


def _reset_sensor_tails(memory: Memory) -> None:
    memory.floats[:, [FloatColumn.TAIL_START, FloatColumn.TAIL_SCALE]] = CLEAN_TAIL_START, 1.0


def _clear_lags(memory: Memory) -> None:
    """Remove all lagged rows, so that only the sensor's level is used to score a row."""
    memory.ints[:, IntColumn.LAG_COUNT] = 0


def _without_smoothing(decision: Decision) -> Decision:
    rarity_tables = decision.tables.copy()
    rarity_tables[RarityTable.SMOOTHED_SCORE, :KNOTS] = UNREACHABLE_SCORE
    # Now the maximum of the sum and the smoothed score is always the sum. So the table for this
    # maximum is the identity.
    rarity_tables[RarityTable.LARGEST_RARITY] = identity_tables(1)[0]
    return replace(decision, tables=rarity_tables)


FULL_DETECTOR = Variant("whole")
VARIANTS = (
    FULL_DETECTOR,
    Variant("without the forest", weights=(0.0, 1.0, 1.0, 1.0, 1.0)),
    Variant("without the residual's length", weights=(1.0, 0.0, 1.0, 1.0, 1.0)),
    Variant("without its drift", weights=(1.0, 1.0, 0.0, 1.0, 1.0)),
    Variant("without exact repeats", weights=(1.0, 1.0, 1.0, 0.0, 1.0)),
    Variant("without single signals", weights=(1.0, 1.0, 1.0, 1.0, 0.0)),
    Variant("without the level guard", is_guarded=False),
    Variant("forest alone", weights=(1.0, 0.0, 0.0, 0.0, 0.0), is_guarded=False),
    Variant("without smoothing", change_decision=_without_smoothing),
    Variant("unusual blocks calibrate too", include_outlier_blocks=True),
    Variant("without each sensor's own tail", edit_memory=_reset_sensor_tails),
    Variant("without lags: levels alone", edit_memory=_clear_lags),
)
