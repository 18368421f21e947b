"""The faults of a simulation as one line of text, such as `rate=0.002,kinds=spike+drift,size=6`."""

from dataclasses import replace

from sensorwatch.common.errors import UsageError
from sensorwatch.common.pydantic_errors import suggestion
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind

KEYS = ("rate", "kinds", "size")
NONE = "none"


def fault_plan(text: str) -> FaultPlan | None:
    """Read a plan; `none` is None, and what is left out keeps its default.

    Raises UsageError naming what is wrong and what may stand there.
    """
    plan = FaultPlan()
    if text.strip() == NONE:
        return None
    for item in filter(None, (item.strip() for item in text.split(","))):
        key, _, value = (text_part.strip() for text_part in item.partition("="))
        match key:
            case "rate":
                plan = replace(plan, rate=_number(key, value, 1.0))
            case "size":
                plan = replace(plan, size=_number(key, value, 1e6))
            case "kinds":
                plan = replace(plan, kinds=_kinds(value))
            case _:
                raise UsageError(
                    f'--faults has no "{key}"{suggestion(key, KEYS)}: wanted {NONE}, or some of '
                    "rate=SHARE,kinds=KIND+KIND,size=DEVIATIONS"
                )
    return plan


def _number(key: str, value: str, maximum: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= maximum:
        raise UsageError(f'--faults {key}: found "{value}", wanted a number from 0 to {maximum:g}')
    return number


def _kinds(value: str) -> tuple[FaultKind, ...]:
    known = tuple(FaultKind)
    if value == "all":
        return known
    names = [name.strip() for name in value.split("+")]
    for name in names:
        if name not in known:
            raise UsageError(
                f'--faults kinds: there is no "{name}"{suggestion(name, known)}; wanted all, or some '
                f"of {', '.join(known)} with + between them"
            )
    return tuple(FaultKind(name) for name in names)
