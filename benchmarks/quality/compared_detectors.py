"""Who is compared: the default detector, other settings of it, and trivial rules."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream, backtest
from benchmarks.quality.baselines import ewma_of_z, flag_everything, forest_in_sample
from sensorwatch.common.runtime.setting_keys import TrainerSettings

OURS = "default"
PLAIN = "plain recipe"
PLAIN_IN_SAMPLE = f"{PLAIN}, in sample"
"""Its threshold is from the rows that it was fitted on."""


@dataclass(frozen=True, slots=True)
class ComparedDetector:
    """A name and what it makes of a stream."""

    name: str
    judge: Callable[[RecordStream], JudgedRows]

    def judge_all(self, streams: Sequence[RecordStream], *, processes: int = 1) -> list[JudgedRows]:
        """Judge several streams, each on its own."""
        if processes == 1:
            return [self.judge(stream) for stream in streams]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            return list(pool.map(self.judge, streams))


def default_detectors(
    *, rate: float | None = None, refit_every: int | None = None
) -> list[ComparedDetector]:
    """List the default detector first, then the plain recipe on the same path.

    `rate`: the target alert rate; None: the default one.
    """
    overrides = {} if rate is None else {"target_alert_rate": rate}
    trainer_settings = TrainerSettings.model_validate(overrides)
    detectors = [detector_with(OURS, trainer_settings)]
    if refit_every:
        name = f"{OURS}, refitted every {refit_every} rows"
        detectors.append(
            ComparedDetector(
                name, partial(backtest, trainer_settings=trainer_settings, refit_every=refit_every)
            )
        )
    if "features" in TrainerSettings.model_fields:
        return [
            *detectors,
            detector_with(
                PLAIN, TrainerSettings.model_validate({**overrides, "features": "plain"})
            ),
        ]
    return [ComparedDetector(one.name.replace(OURS, PLAIN), one.judge) for one in detectors]


def trivial_rules() -> list[ComparedDetector]:
    """List the rules that any detector has to beat."""
    return [
        ComparedDetector(PLAIN_IN_SAMPLE, forest_in_sample),
        ewma(TrainerSettings().target_alert_rate),
        ComparedDetector("flag everything", flag_everything),
    ]


def ewma(rate: float) -> ComparedDetector:
    """Return the smoothed abs z at a target alert rate."""
    return ComparedDetector("EWMA of abs z", partial(ewma_of_z, rate=rate))


def detector_with(name: str, trainer_settings: TrainerSettings) -> ComparedDetector:
    """Return the detector with other settings."""
    return ComparedDetector(name, partial(backtest, trainer_settings=trainer_settings))
