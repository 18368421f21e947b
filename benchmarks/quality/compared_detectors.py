"""The compared detectors: the default one, those with other settings, and trivial rules."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream, backtest
from benchmarks.quality.baselines import ewma_of_z, flag_everything, forest_in_sample
from sensorwatch.common.runtime.setting_keys import TrainerSettings

DEFAULT_NAME = "default"
PLAIN_RECIPE_NAME = "plain recipe"
IN_SAMPLE_NAME = f"{PLAIN_RECIPE_NAME}, in sample"
"""Name of the plain recipe whose threshold comes from the rows on which its forest was fitted."""


@dataclass(frozen=True, slots=True)
class ComparedDetector:
    """A detector: its name, and its function that fits on a stream and scores it."""

    name: str
    fit_and_score: Callable[[RecordStream], JudgedRows]

    def fit_and_score_all(
        self, streams: Sequence[RecordStream], *, processes: int = 1
    ) -> list[JudgedRows]:
        """Fit and score each stream independently of the others."""
        if processes == 1:
            return [self.fit_and_score(stream) for stream in streams]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            return list(pool.map(self.fit_and_score, streams))


def default_detectors(
    *, rate: float | None = None, refit_every: int | None = None
) -> list[ComparedDetector]:
    """Return the default detector, then the detector with plain features.

    `rate`: target alert rate; None: the trainer's default rate.
    """
    setting_values = {} if rate is None else {"target_alert_rate": rate}
    trainer_settings = TrainerSettings.model_validate(setting_values)
    detectors = [detector_with_settings(DEFAULT_NAME, trainer_settings)]
    if refit_every:
        name = f"{DEFAULT_NAME}, refitted every {refit_every} rows"
        detectors.append(
            ComparedDetector(
                name, partial(backtest, trainer_settings=trainer_settings, refit_every=refit_every)
            )
        )
    if "features" in TrainerSettings.model_fields:
        return [
            *detectors,
            detector_with_settings(
                PLAIN_RECIPE_NAME,
                TrainerSettings.model_validate({**setting_values, "features": "plain"}),
            ),
        ]
    return [
        ComparedDetector(
            detector.name.replace(DEFAULT_NAME, PLAIN_RECIPE_NAME), detector.fit_and_score
        )
        for detector in detectors
    ]


def trivial_rules() -> list[ComparedDetector]:
    """Return the simple rules that a useful detector must beat."""
    return [
        ComparedDetector(IN_SAMPLE_NAME, forest_in_sample),
        ewma_rule(TrainerSettings().target_alert_rate),
        ComparedDetector("flag everything", flag_everything),
    ]


def ewma_rule(rate: float) -> ComparedDetector:
    """Return the rule on the smoothed mean absolute z-score, with target alert rate `rate`."""
    return ComparedDetector("EWMA of abs z", partial(ewma_of_z, rate=rate))


def detector_with_settings(name: str, trainer_settings: TrainerSettings) -> ComparedDetector:
    """Return a detector that is trained with these settings."""
    return ComparedDetector(name, partial(backtest, trainer_settings=trainer_settings))
