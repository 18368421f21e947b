"""A small detector for each feature plan."""

from collections.abc import Callable
from functools import cache

from sensorwatch.common.rows.field_declarations import MissingPolicy
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.training import fit_unregistered
from tests.reading_builders import a_detector, a_schema, some_readings


@cache
def a_forecast_detector() -> Detector:
    """Return a small detector with memory, trained on the sensors s0 and s1."""
    trainer_settings = TrainerSettings(trees=10, max_samples=64, min_rows=30)
    schema = a_schema()
    hold_last_signals = [
        signal.model_copy(update={"missing": MissingPolicy.HOLD_LAST}) for signal in schema.signals
    ]
    schema = schema.model_copy(update={"signals": tuple(hold_last_signals)})
    return fit_unregistered(some_readings(600), schema, trainer_settings)


DETECTORS: dict[str, Callable[[], Detector]] = {
    "plain": a_detector,
    "forecast": a_forecast_detector,
}
