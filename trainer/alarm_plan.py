"""The alarm plan: for each budget of false alarms, the share of injected faults that is found."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.clean_alarms import CleanAlarms, clean_alarms
from sensorwatch.trainer.fault_detection import fault_cases, injected_rounds, injection_input
from sensorwatch.trainer.fault_injection import FaultCase, InjectedFaults

BUDGETS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Budgets of a plan in addition to those of the severities, in false episodes per sensor-day."""

PLAN_SIZES = (1.0, 2.0, 4.0)
"""Sizes of the faults of a plan, in spreads of the signal. Larger faults are found with any
budget."""


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A kind and size of fault, with the smallest budget that finds each injected fault."""

    case: FaultCase
    smallest_budgets: NDArray[np.float64]
    """Shape (faults,). The smallest budget with which the fault is found; infinite if the fault
    raises no alarm."""

    def share_found(self, budget: float) -> float:
        """Return the share of the faults that are found with a budget."""
        return float((self.smallest_budgets <= budget).mean())


@dataclass(frozen=True, slots=True)
class AlarmPlan:
    """The faults that are found with any budget, and the false alarms on clean rows."""

    cases: tuple[PlannedCase, ...]
    clean: CleanAlarms
    severity_budgets: tuple[float, float, float]
    """Budgets of `warning`, `major` and `critical` of the detector."""

    @property
    def budgets(self) -> tuple[float, ...]:
        """Return BUDGETS and the severities' budgets in descending order, for the table."""
        return tuple(sorted({*BUDGETS, *self.severity_budgets}, reverse=True))


def plan_alarms(readings: Readings, detector: Detector, *, seed: int) -> AlarmPlan:
    """Inject every kind and size of fault; return the smallest budget that finds each fault.

    `readings`: rows that the detector was not fitted on.
    """
    injection = injection_input(readings, detector)
    rates = detector.alarm_rates.budgets.tolist()
    cases = []
    for case_number, case in enumerate(fault_cases(injection.sizes, PLAN_SIZES)):
        rounds = injected_rounds(injection, case, rng=np.random.default_rng([seed, case_number]))
        if rounds:
            cases.append(PlannedCase(case, np.asarray(list(_smallest_budgets(rounds)))))
    return AlarmPlan(tuple(cases), clean_alarms(readings, detector), (rates[0], rates[1], rates[2]))


def _smallest_budgets(rounds: list[tuple[InjectedFaults, Detections]]) -> Iterator[float]:
    for injected, detections in rounds:
        rates = np.where(detections.is_anomaly, detections.episode_rate, np.inf)
        for rows in injected.episodes:
            yield float(rates[rows].min())
