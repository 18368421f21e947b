"""Sentences about the season of a model, or about the reason why it has none."""

from collections.abc import Sequence

from sensorwatch.common.model.angles import model_schema
from sensorwatch.common.model.season import DAY, WEEK
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.season_cycles import MIN_CYCLES, Cycle
from sensorwatch.trainer.season_fitting import (
    MIN_ERROR_REDUCTION,
    MIN_STANDARD_ERRORS,
    CycleFit,
    SeasonFit,
)

MAX_NAMED_SIGNALS = 5
"""Largest number of signals that a sentence names."""
_HOUR = DAY / 24


def season_zone(schema: Schema, trainer_settings: TrainerSettings) -> str:
    """Return the season's IANA zone: from the settings, else from the schema, else UTC."""
    return trainer_settings.season.zone or schema.time.naive_zone or "UTC"


def season_figures(
    forecast_fit: SeasonFit, guard_fit: SeasonFit | None, schema: Schema, zone: str
) -> dict[str, str]:
    """Return the zone and a sentence about each season of a model, for its manifest.

    `guard_fit`: the season of the level guard; None if no sensor has a level.
    """
    names = model_schema(schema).signal_names
    guard_text = "none: no sensor has enough rows for a level"
    if guard_fit:
        guard_text = season_sentence(guard_fit, names, zone, quantity="variance")
    return {
        "zone": zone,
        "forecast": season_sentence(forecast_fit, names, zone, quantity="forecast error"),
        "level": guard_text,
    }


def season_sentence(fit: SeasonFit, names: Sequence[str], zone: str, *, quantity: str) -> str:
    """Return a sentence about the season that is used, or about the reason why none is used.

    `quantity`: name of the quantity that the season explains in part.
    """
    if fit.chosen_cycle:
        return f"{_accepted_text(fit.chosen_cycle, names, quantity)}, in {zone}"
    tried_cycles = {cycle_fit.cycle: cycle_fit for cycle_fit in fit.tried_cycles}
    reasons = [
        _rejected_cycle_text(cycle_fit, fit, names, quantity) for cycle_fit in tried_cycles.values()
    ]
    if Cycle.DAY not in tried_cycles:
        reasons.append(_no_cycle_text(fit))
    elif Cycle.WEEK not in tried_cycles:
        reasons.append(f"a weekly season needs {MIN_CYCLES} weeks")
    return f"none: {'; '.join(reasons)}"


def _accepted_text(accepted_fit: CycleFit, names: Sequence[str], quantity: str) -> str:
    accepted_signals = sorted(
        (
            (share, name)
            for share, name, is_accepted in zip(
                accepted_fit.explained.tolist(),
                names,
                accepted_fit.is_accepted.tolist(),
                strict=True,
            )
            if is_accepted
        ),
        reverse=True,
    )
    texts = [
        f"{share:.0%} of {name}'s {quantity}"
        for share, name in accepted_signals[:MAX_NAMED_SIGNALS]
    ]
    if len(accepted_signals) > MAX_NAMED_SIGNALS:
        texts.append(f"less of {len(accepted_signals) - MAX_NAMED_SIGNALS} other signals")
    repeating = (
        f"a {accepted_fit.cycle}"
        if accepted_fit.cycle is not Cycle.DAY_TYPE
        else str(accepted_fit.cycle)
    )
    return f"of {repeating}, explains {', '.join(texts)}"


def _rejected_cycle_text(
    cycle_fit: CycleFit, fit: SeasonFit, names: Sequence[str], quantity: str
) -> str:
    signal = int(cycle_fit.explained.argmax())
    share, name = float(cycle_fit.explained[signal]), names[signal]
    explains = f"explains {max(share, 0.0):.0%} of {name}'s {quantity}"
    if share > MIN_ERROR_REDUCTION:
        shortfall = (
            f"not steadily ({cycle_fit.standard_errors[signal]:.1f} standard errors, "
            f"{MIN_STANDARD_ERRORS:g} needed)"
        )
        explains = f"{explains}, {shortfall}"
    else:
        explains = f"{explains} at most ({MIN_ERROR_REDUCTION:.0%} needed)"
    if cycle_fit.cycle is Cycle.DAY_TYPE:
        return f"a difference between {cycle_fit.cycle} {explains}"
    period, unit = (DAY, "days") if cycle_fit.cycle is Cycle.DAY else (WEEK, "weeks")
    return (
        f"{fit.span / period:.1f} {unit} of rows ({MIN_CYCLES} needed), but a cycle of a "
        f"{cycle_fit.cycle} {explains}"
    )


def _no_cycle_text(fit: SeasonFit) -> str:
    if fit.span < MIN_CYCLES * DAY:
        return f"the rows span {fit.span / DAY:.1f} days, a daily season needs {MIN_CYCLES} days"
    if fit.step > _HOUR:
        return f"one row in {fit.step / _HOUR:.1f} hours, but a daily season needs one row per hour"
    return f"the rows are of fewer than {MIN_CYCLES} days"
