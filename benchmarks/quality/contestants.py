"""Who is compared: the default detector, other settings of it, and trivial rules."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from benchmarks.quality.baselines import ewma_of_z, flag_everything, forest_in_sample
from benchmarks.quality.streams import Judged, Stream, Transform, backtest
from common.runtime.keys import TrainerSettings

OURS = "default"
PLAIN = "plain recipe"


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


def contestants(*, refit_every: int | None = None, rate: float | None = None) -> list[Contestant]:
    """List whom every table compares; `rate`: the target alert rate, None: each one's default."""
    asked = {} if rate is None else {"target_alert_rate": rate}
    how = TrainerSettings.model_validate(asked)
    found = [variant(OURS, how)]
    if refit_every:
        name = f"{OURS}, refitted every {refit_every} rows"
        found.append(Contestant(name, partial(backtest, how=how, refit_every=refit_every)))
    if "features" in TrainerSettings.model_fields:
        found.append(variant(PLAIN, TrainerSettings.model_validate({**asked, "features": "plain"})))
    else:
        found = [Contestant(one.name.replace(OURS, PLAIN), one.judge) for one in found]
    ewma = Contestant("EWMA of abs z", partial(ewma_of_z, rate=how.target_alert_rate))
    in_sample = Contestant("plain recipe, threshold in sample", forest_in_sample)
    return [*found, in_sample, ewma, Contestant("flag everything", flag_everything)]


def variant(name: str, how: TrainerSettings, transform: Transform | None = None) -> Contestant:
    """Return the detector with other settings, or with a part changed after fitting."""
    return Contestant(name, partial(backtest, how=how, transform=transform))
