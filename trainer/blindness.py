"""Find the signals in which a new model misses large faults, and warn about them."""

from collections.abc import Mapping

import numpy as np

from sensorwatch.common.registry.candidate import Candidate
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.trainer.fault_detection import injection_input, measure_case
from sensorwatch.trainer.fault_injection import FaultCase

LARGE_SPIKE = FaultCase(FaultKind.SPIKE, 8.0, one_signal=True)
"""A spike of 8 spreads in one signal, one row long."""
MIN_SPIKES = 3
"""A signal is checked only if at least this number of spikes was injected into it."""
MIN_SHARE_FOUND = 0.5
"""A model is blind in a signal if it finds less than this share of the signal's spikes."""


def blind_signals(candidate: Candidate, readings: Readings) -> dict[str, float]:
    """Return the signals in which the model misses most large spikes, with the share it finds.

    The spikes are injected into the newest rows. `readings`: the training rows. No signal of a
    model with the plain features is reported, because such a model often misses a spike of one
    signal even if its training rows are good.
    """
    if candidate.forecast is None:
        return {}
    injection = injection_input(readings, candidate.detector("candidate"))
    if not len(injection.sizes.possible(LARGE_SPIKE.size)):
        return {}
    rng = np.random.default_rng(candidate.seed)
    results = measure_case(injection, LARGE_SPIKE, rng=rng).signals or {}
    return {
        name: result.recall_events
        for name, result in results.items()
        if result.episodes >= MIN_SPIKES and result.recall_events < MIN_SHARE_FOUND
    }


def blindness_warning(blind: Mapping[str, float]) -> str:
    """Return the warning about blind signals; `blind`: the result of `blind_signals`."""
    shares = ", ".join(f"{name} ({share:.0%} found)" for name, share in blind.items())
    return (
        f"the model misses most large spikes in {shares}. Its training rows may contain faults or "
        "numbers that mean a missing value, or another signal may hide the spikes. Leave out such "
        "rows, list such numbers as missing_values in the schema, or declare a set-point as "
        "[[context]], and train again"
    )
