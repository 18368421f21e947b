"""Parse the value of `--faults`, such as `rate=0.002,kinds=spike+drift,size=6`."""

from dataclasses import replace

from sensorwatch.common.errors import UsageError
from sensorwatch.common.pydantic_errors import suggest_name
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind

KEYS = ("rate", "kinds", "size")
NONE = "none"


def parse_fault_plan(text: str) -> FaultPlan | None:
    """Return the fault plan of a text, or None for the text `none`. A missing key has its default.

    Raises UsageError, which names the wrong key or value and the allowed keys or values.
    """
    plan = FaultPlan()
    if text.strip() == NONE:
        return None
    for item in filter(None, (item.strip() for item in text.split(","))):
        key, _, value = map(str.strip, item.partition("="))
        match key:
            case "rate":
                plan = replace(plan, rate=_number(key, value, 1.0))
            case "size":
                plan = replace(plan, size=_number(key, value, 1e6))
            case "kinds":
                plan = replace(plan, kinds=_kinds(value))
            case _:
                raise UsageError(
                    f'--faults has no "{key}"{suggest_name(key, KEYS)}; wanted {NONE}, or one or '
                    "more of rate=SHARE, kinds=KIND+KIND, size=DEVIATIONS, separated by commas"
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
    all_kinds = tuple(FaultKind)
    if value == "all":
        return all_kinds
    names = [name.strip() for name in value.split("+")]
    for name in names:
        if name not in all_kinds:
            raise UsageError(
                f'--faults kinds: there is no "{name}"{suggest_name(name, all_kinds)}; wanted all, '
                f"or one or more of {', '.join(all_kinds)}, separated by +"
            )
    return tuple(FaultKind(name) for name in names)
