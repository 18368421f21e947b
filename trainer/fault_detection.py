"""The checks of fault detection; recall, precision and delay are measured on injected faults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.sensor_tail import SENSOR_TAIL_ROWS
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.common.simulation.faults import VALUE_KINDS, FaultKind
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.evaluation_check import Check, Section
from sensorwatch.trainer.fault_injection import FaultCase, InjectedFaults, inject_case
from sensorwatch.trainer.fault_results import CaseResult, case_result, empty_result
from sensorwatch.trainer.fault_rows import fault_rows
from sensorwatch.trainer.fault_sizes import FaultSizes, fault_sizes

FAULT_SIZES = (4.0, 8.0, 16.0)
"""Sizes of the injected faults, in spreads of the signal."""
GATE_CASE = FaultCase(FaultKind.SPIKE, 8.0)
"""The case that every model must detect: a spike of all signals. A plain forest is not required to
detect a spike of a single signal, because its score weights one large deviation no more than
several small ones."""
MIN_SIGNALS_FOR_STRICT_BOUNDS = 3
"""Smallest number of varying signals for which GATE_BOUNDS apply to a model without memory."""


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
"""Number of episodes per case. If there are too few rows, they are injected in several rounds."""
MAX_ROUNDS = EPISODES_PER_CASE
ROWS_PER_EPISODE = 50
"""Minimum number of rows per injected fault in one round."""
ROWS_PER_SPIKE = int(SENSOR_TAIL_ROWS)
"""Minimum number of rows per injected spike in one round.

A sensor's own tail follows its highest scores, so a sensor with many high scores raises fewer
alarms. With a spike in every 50th row, the tail would adapt to the spikes, and later spikes would
be missed. So there is at most one spike per time constant of the tail.
"""
MAX_ROWS = 20_000
"""Largest number of newest rows into which faults are injected."""


@dataclass(frozen=True, slots=True)
class InjectionInput:
    """The rows into which faults are injected, and the detector that scores them."""

    rows: Readings
    """Rows of `fault_rows`, in time order."""
    detector: Detector
    sizes: FaultSizes
    eligible: NDArray[np.bool_]
    """Shape (rows,). Mask of rows after which faults may start; see `inject_case`."""


def injection_input(readings: Readings, detector: Detector) -> InjectionInput:
    """Return the input of fault injection: the newest rows, as `fault_rows` converts them.

    `readings`: rows that the detector was not fitted on.
    """
    rows = sort_by_time(readings)
    rows = rows.take(slice(max(len(rows) - MAX_ROWS, 0), None))
    schema = detector.schema
    rows, detector = fault_rows(rows, detector)
    return InjectionInput(
        rows, detector, fault_sizes(rows, schema), _rows_with_history(rows, detector)
    )


def fault_detection_section(readings: Readings, detector: Detector, *, seed: int) -> Section:
    """Inject every kind and size of fault, and return the checks and measurements.

    Faults of a counter are injected into its rate. `readings`: rows that the detector was not
    fitted on. The figure `undetectable` has a sentence for each signal in which a fault of the
    gate's size is impossible.
    """
    injection = injection_input(readings, detector)
    sizes = injection.sizes
    cases = fault_cases(sizes)
    results = [
        measure_case(injection, case, rng=np.random.default_rng([seed, case_number]))
        for case_number, case in enumerate(cases)
    ]
    result_by_case = dict(zip(cases, results, strict=True))
    gate_result = result_by_case[GATE_CASE]
    varying_signals = len(sizes.varying)
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
        "undetectable": sizes.impossible_text(GATE_CASE.size),
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


def fault_cases(
    sizes: FaultSizes, sizes_in_spreads: tuple[float, ...] = FAULT_SIZES
) -> list[FaultCase]:
    """Return the fault cases to inject.

    A case that needs two signals is included only if at least two signals vary. A spike of one
    signal is included only if it is possible in at least one signal.
    """
    cases: list[FaultCase] = []
    several_signals_vary = len(sizes.varying) > 1
    for kind in VALUE_KINDS:
        if kind is FaultKind.BROKEN_CORRELATION:
            # With size 1, the spread of the signal does not change; only the correlation changes.
            cases += [FaultCase(kind, 1.0)] if several_signals_vary else []
        else:
            kind_sizes = (0.0,) if kind is FaultKind.STUCK else sizes_in_spreads
            cases += [FaultCase(kind, size) for size in kind_sizes]
    if several_signals_vary:
        cases += [
            FaultCase(FaultKind.SPIKE, size, one_signal=True)
            for size in sizes_in_spreads
            if len(sizes.possible(size))
        ]
    return cases


def measure_case(
    injection: InjectionInput, case: FaultCase, *, rng: np.random.Generator
) -> CaseResult:
    """Inject EPISODES_PER_CASE episodes of a case in rounds, and return the detection results."""
    rounds = injected_rounds(injection, case, rng=rng)
    if not rounds:
        return empty_result(case, len(injection.rows))
    return case_result(case, rounds, injection.sizes)


def injected_rounds(
    injection: InjectionInput, case: FaultCase, *, rng: np.random.Generator
) -> list[tuple[InjectedFaults, Detections]]:
    """Inject EPISODES_PER_CASE episodes of a case in rounds, and return the scored rounds.

    Every round starts with an empty memory. The rows before the first fault fill it. The result is
    empty if no fault of this case is possible.
    """
    rounds: list[tuple[InjectedFaults, Detections]] = []
    detector = injection.detector
    missing_episodes = EPISODES_PER_CASE if len(injection.sizes.varying) else 0
    rows_per_episode = ROWS_PER_SPIKE if case.kind is FaultKind.SPIKE else ROWS_PER_EPISODE
    while missing_episodes > 0 and len(rounds) < MAX_ROUNDS:
        # The number of episodes in a round is limited, so that most rows stay healthy.
        round_episodes = min(missing_episodes, max(1, len(injection.rows) // rows_per_episode))
        injected = inject_case(
            injection.rows,
            case,
            sizes=injection.sizes,
            rng=rng,
            episodes=round_episodes,
            eligible=injection.eligible,
        )
        if not injected.episodes:
            break
        rounds.append(
            (injected, detector.detect(injected.readings, detector.empty_memory()).detections)
        )
        missing_episodes -= len(injected.episodes)
    return rounds


def _minimum_check(name: str, result: CaseResult, value: float | None, min_value: float) -> Check:
    wanted_text = f"{min_value:g} or more ({result.kind}, {result.size:g} spreads)"
    if value is None:
        observed = "no fault injected: no signal varies, or a sensor has fewer than 4 rows"
        return Check(name, passed=False, observed=observed, wanted=wanted_text)
    observed = f"{value:.3f} over {result.episodes} episodes"
    if result.signals:
        shares = (f"{name} {part.recall_events:.2f}" for name, part in result.signals.items())
        observed += f": {', '.join(shares)}"
    return Check(name, value >= min_value, observed, wanted_text)
