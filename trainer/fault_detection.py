"""The checks of fault detection: recall, precision and delay on injected faults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.common.simulation.faults import VALUE_KINDS, FaultKind
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.evaluation_check import Check, Section
from sensorwatch.trainer.fault_injection import (
    FaultCase,
    InjectedFaults,
    inject_case,
    robust_spread,
)
from sensorwatch.trainer.fault_rows import fault_rows

FAULT_SIZES = (4.0, 8.0, 16.0)
"""Sizes of the injected faults, in spreads of the signal."""
GATE_CASE = FaultCase(FaultKind.SPIKE, 8.0)
"""The case that every model must detect: a spike of all signals.

A plain forest is not required to detect a spike of a single signal. In the score of a plain forest,
one large deviation does not count more than several small ones."""
MIN_SIGNALS_FOR_STRICT_BOUNDS = 3
"""For a model without memory, GATE_BOUNDS apply only if at least this number of signals vary."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The minimum recall and the minimum ROC-AUC for the faults of GATE_CASE."""

    recall: float
    roc_auc: float


GATE_BOUNDS = Bounds(recall=0.8, roc_auc=0.95)
GATE_BOUNDS_FOR_FEW_SIGNALS = Bounds(recall=0.1, roc_auc=0.85)
"""Bounds of a plain forest with one or two signals.

Hour and day of week are features too, so one or two signals have little weight. The forest gives a
spike a high score, but the score is rarely above the threshold."""
MEMORY_CASES: Mapping[str, tuple[FaultCase, float]] = {
    "failures.spike_of_one_signal": (FaultCase(FaultKind.SPIKE, 8.0, one_signal=True), 0.9),
    "failures.level_shift": (FaultCase(FaultKind.LEVEL_SHIFT, 4.0), 0.9),
    "failures.stuck": (FaultCase(FaultKind.STUCK, 0.0), 0.8),
}
"""Additional cases that a detector with memory must detect, by the name of the check.

The number after each case is the minimum share of detected episodes."""
EPISODES_PER_CASE = 60
"""Number of episodes per case. They are injected in several rounds if there are too few rows."""
MAX_ROUNDS = 20
ROWS_PER_EPISODE = 50
"""Minimum number of rows per injected fault in one round."""
MAX_ROWS = 20_000
"""Faults are injected into at most this number of the newest rows."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The detection results of a case. A value is None if it cannot be measured."""

    kind: str
    size: float
    """Size in spreads of the signal; 0 if the kind has no size."""
    episodes: int
    rows: int
    faulty_rows: int
    recall_events: float | None
    """Share of episodes with at least one anomalous row."""
    recall_rows: float | None
    precision: float | None
    """Share of faulty rows among the rows that were detected as anomalous.

    This share depends on the number of injected faults."""
    delay_rows: float | None
    """Median detection delay of the detected episodes, in rows of the sensor.

    The delay is the number of rows between the start of the episode and its first alarm."""
    roc_auc: float | None
    average_precision: float | None


def fault_detection_section(readings: Readings, detector: Detector, *, seed: int) -> Section:
    """Inject every kind and size of fault, and return the checks and measurements.

    Faults of a counter are injected into its rate. `readings`: rows that the detector was not
    fitted on.
    """
    rows = sort_by_time(readings)
    rows = rows.take(slice(max(len(rows) - MAX_ROWS, 0), None))
    rows, detector = fault_rows(rows, detector)
    eligible = _rows_with_history(rows, detector)
    cases = fault_cases(rows)
    results = [
        measure_case(
            rows, case, detector, rng=np.random.default_rng([seed, case_number]), eligible=eligible
        )
        for case_number, case in enumerate(cases)
    ]
    result_by_case = dict(zip(cases, results, strict=True))
    gate_result = result_by_case[GATE_CASE]
    varying_signals = int((robust_spread(rows) > 0).sum())
    has_memory = detector.forecast is not None
    bounds = (
        GATE_BOUNDS
        if has_memory or varying_signals >= MIN_SIGNALS_FOR_STRICT_BOUNDS
        else GATE_BOUNDS_FOR_FEW_SIGNALS
    )
    checks = [
        _minimum_check("failures.recall", gate_result, gate_result.recall_rows, bounds.recall),
        _minimum_check("failures.roc_auc", gate_result, gate_result.roc_auc, bounds.roc_auc),
    ]
    if has_memory:
        checks += [
            _minimum_check(
                name, result_by_case[case], result_by_case[case].recall_events, min_recall
            )
            for name, (case, min_recall) in MEMORY_CASES.items()
            if case in result_by_case
        ]
    figures = {
        "gated": {"kind": GATE_CASE.name, "size": GATE_CASE.size, **asdict(bounds)},
        "varying_signals": varying_signals,
        "cases": [asdict(result) for result in results],
    }
    return Section(tuple(checks), figures)


def _rows_with_history(rows: Readings, detector: Detector) -> NDArray[np.bool_]:
    """Return the mask (n,) of rows whose sensor has completed its warm-up.

    If there is no such row, the mask selects all rows.
    """
    row_status = detector.detect(rows, detector.empty_memory()).detections.status
    is_scored: NDArray[np.bool_] = row_status == STATUSES.index(Status.SCORED)
    return is_scored if is_scored.any() else np.ones_like(is_scored)


def fault_cases(readings: Readings) -> list[FaultCase]:
    """Return the fault cases to inject.

    A case that needs two signals is included only if at least two signals vary.
    """
    cases: list[FaultCase] = []
    several_signals_vary = (robust_spread(readings) > 0).sum() > 1
    for kind in VALUE_KINDS:
        if kind is FaultKind.BROKEN_CORRELATION:
            # With size 1 the signal keeps its spread, and only the correlation changes.
            cases += [FaultCase(kind, 1.0)] if several_signals_vary else []
        else:
            cases += [FaultCase(kind, size) for size in _fault_sizes(kind)]
    if several_signals_vary:
        cases += [FaultCase(FaultKind.SPIKE, size, one_signal=True) for size in FAULT_SIZES]
    return cases


def _fault_sizes(kind: FaultKind) -> tuple[float, ...]:
    return (0.0,) if kind is FaultKind.STUCK else FAULT_SIZES


def measure_case(
    readings: Readings,
    case: FaultCase,
    detector: Detector,
    *,
    rng: np.random.Generator,
    eligible: NDArray[np.bool_],
) -> CaseResult:
    """Inject EPISODES_PER_CASE episodes of a case in rounds, and return the detection results.

    Every round starts with an empty memory, which the rows before the first fault fill. `eligible`
    (n,): mask of rows after which faults may start; see `inject_case`.
    """
    rounds: list[tuple[InjectedFaults, Detections]] = []
    missing_episodes = EPISODES_PER_CASE if (robust_spread(readings) > 0).any() else 0
    while missing_episodes > 0 and len(rounds) < MAX_ROUNDS:
        # The number of episodes in a round is limited, so that most rows stay healthy.
        round_episodes = min(missing_episodes, max(1, len(readings) // ROWS_PER_EPISODE))
        injected = inject_case(
            readings,
            case,
            schema=detector.schema,
            rng=rng,
            episodes=round_episodes,
            eligible=eligible,
        )
        if not injected.episodes:
            break
        rounds.append(
            (injected, detector.detect(injected.readings, detector.empty_memory()).detections)
        )
        missing_episodes -= len(injected.episodes)
    return _case_result(case, rounds) if rounds else _empty_result(case, len(readings))


def _case_result(case: FaultCase, rounds: list[tuple[InjectedFaults, Detections]]) -> CaseResult:
    is_faulty = np.concatenate([injected.faulty for injected, _ in rounds])
    score = np.concatenate([detections.raw_score for _, detections in rounds])
    is_anomaly = np.concatenate([detections.is_anomaly for _, detections in rounds])
    detection_delays = [
        delay
        for injected, detections in rounds
        for delay in _detection_delays(injected, detections.is_anomaly)
    ]
    known_delays = [delay for delay in detection_delays if delay is not None]
    true_positives = int((is_anomaly & is_faulty).sum())
    return CaseResult(
        kind=case.name,
        size=case.size,
        episodes=len(detection_delays),
        rows=len(is_faulty),
        faulty_rows=int(is_faulty.sum()),
        recall_events=len(known_delays) / len(detection_delays),
        recall_rows=true_positives / int(is_faulty.sum()),
        precision=true_positives / int(is_anomaly.sum()) if is_anomaly.any() else None,
        delay_rows=float(np.median(known_delays)) if known_delays else None,
        roc_auc=float(roc_auc_score(is_faulty, score)),
        average_precision=float(average_precision_score(is_faulty, score)),
    )


def _detection_delays(injected: InjectedFaults, is_anomaly: NDArray[np.bool_]) -> list[int | None]:
    """Return for each episode the number of rows before its first alarm, or None without alarm."""
    return [
        int(np.argmax(is_anomaly[rows])) if is_anomaly[rows].any() else None
        for rows in injected.episodes
    ]


def _empty_result(case: FaultCase, rows: int) -> CaseResult:
    return CaseResult(case.name, case.size, 0, rows, 0, None, None, None, None, None, None)


def _minimum_check(name: str, result: CaseResult, value: float | None, min_value: float) -> Check:
    wanted = f"{min_value:g} or more ({result.kind}, {result.size:g} spreads)"
    if value is None:
        observed = "no fault injected: no signal varies, or a sensor has fewer than 4 rows"
        return Check(name, passed=False, observed=observed, wanted=wanted)
    observed = f"{value:.3f} over {result.episodes} episodes"
    return Check(name, value >= min_value, observed, wanted)
