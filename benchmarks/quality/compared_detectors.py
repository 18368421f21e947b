"""Who is compared: the default detector, other settings of it, and trivial rules."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from benchmarks.quality.backtest_runs import Judged, Stream, backtest
from benchmarks.quality.baselines import ewma_of_z, flag_everything, forest_in_sample
from sensorwatch.common.runtime.setting_keys import TrainerSettings

OURS = "default"
PLAIN = "plain recipe"
IN_SAMPLE = f"{PLAIN}, in sample"
"""Its threshold is from the rows that it was fitted on."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name and what it makes of a stream."""

    name: str
    judge: Callable[[Stream], Judged]

    def over(self, streams: Sequence[Stream], *, processes: int = 1) -> list[Judged]:
        """Judge several streams, each on its own."""
        if processes == 1:
            return [self.judge(stream) for stream in streams]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            return list(pool.map(self.judge, streams))


def ours(*, rate: float | None = None, refit_every: int | None = None) -> list[Contestant]:
    """List the default detector first, then the plain recipe on the same path.

    `rate`: the target alert rate; None: the default one.
    """
    asked = {} if rate is None else {"target_alert_rate": rate}
    how = TrainerSettings.model_validate(asked)
    found = [variant(OURS, how)]
    if refit_every:
        name = f"{OURS}, refitted every {refit_every} rows"
        found.append(Contestant(name, partial(backtest, how=how, refit_every=refit_every)))
    if "features" in TrainerSettings.model_fields:
        return [
            *found,
            variant(PLAIN, TrainerSettings.model_validate({**asked, "features": "plain"})),
        ]
    return [Contestant(one.name.replace(OURS, PLAIN), one.judge) for one in found]


def trivial() -> list[Contestant]:
    """List the rules that any detector has to beat."""
    return [
        Contestant(IN_SAMPLE, forest_in_sample),
        ewma(TrainerSettings().target_alert_rate),
        Contestant("flag everything", flag_everything),
    ]


def ewma(rate: float) -> Contestant:
    """Return the smoothed abs z at a target alert rate."""
    return Contestant("EWMA of abs z", partial(ewma_of_z, rate=rate))


def variant(name: str, how: TrainerSettings) -> Contestant:
    """Return the detector with other settings."""
    return Contestant(name, partial(backtest, how=how))
