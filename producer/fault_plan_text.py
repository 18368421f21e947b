"""Parse the value of `--faults`, such as `rate=0.002,kinds=spike+drift,size=6`."""

from dataclasses import replace

from sensorwatch.common.errors import UsageError
from sensorwatch.common.pydantic_errors import suggest_name
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind

FAULT_KEYS = ("rate", "kinds", "size")
NO_FAULTS_TEXT = "none"


def parse_fault_plan(text: str) -> FaultPlan | None:
    """Return the fault plan that a text describes, or None for the text `none`.

    A key that the text does not contain keeps its default value. Raises UsageError with a message
    that names the wrong key or value and what is allowed instead.
    """
    plan = FaultPlan()
    if text.strip() == NO_FAULTS_TEXT:
        return None
    for item in filter(None, (item.strip() for item in text.split(","))):
        key, _, value = map(str.strip, item.partition("="))
        match key:
            case "rate":
                plan = replace(plan, rate=_parse_number(key, value, 1.0))
            case "size":
                plan = replace(plan, size=_parse_number(key, value, 1e6))
            case "kinds":
                plan = replace(plan, kinds=_parse_kinds(value))
            case _:
                raise UsageError(
                    f'--faults has no "{key}"{suggest_name(key, FAULT_KEYS)}; '
                    f"wanted {NO_FAULTS_TEXT}, or one or more of rate=SHARE, kinds=KIND+KIND, "
                    "size=DEVIATIONS, separated by commas"
                )
    return plan


def _parse_number(key: str, value: str, maximum: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= maximum:
        raise UsageError(f'--faults {key}: found "{value}", wanted a number from 0 to {maximum:g}')
    return number


def _parse_kinds(value: str) -> tuple[FaultKind, ...]:
    all_kinds = tuple(FaultKind)
    if value == "all":
        return all_kinds
    kind_names = [name.strip() for name in value.split("+")]
    for name in kind_names:
        if name not in all_kinds:
            raise UsageError(
                f'--faults kinds: there is no "{name}"{suggest_name(name, all_kinds)}; wanted all, '
                f"or one or more of {', '.join(all_kinds)}, separated by +"
            )
    return tuple(FaultKind(name) for name in kind_names)
