"""Tests of the parser for the option `--faults`: its fault plans, defaults and errors."""

import pytest

from sensorwatch.common.errors import UsageError
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.producer.fault_plan_text import parse_fault_plan


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("none", None),
        ("", FaultPlan()),
        ("rate=0.002", FaultPlan(rate=0.002)),
        ("kinds=all , size=3", FaultPlan(size=3.0)),
        (
            "rate=0.5,kinds=spike+drift,size=6",
            FaultPlan(0.5, (FaultKind.SPIKE, FaultKind.DRIFT), 6.0),
        ),
    ],
)
def test_a_missing_key_has_its_default(text: str, plan: FaultPlan | None) -> None:
    assert parse_fault_plan(text) == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate=2", 'rate: found "2", wanted a number from 0 to 1'),
        ("rate=nan", "rate: found"),
        ("size=big", 'size: found "big"'),
        ("kinds=spikes", r'there is no "spikes" \(did you mean "spike"\?\)'),
        ("kind=spike", r'no "kind" \(did you mean "kinds"\?\)'),
        ("spike", "wanted none, or one or more of"),
    ],
)
def test_an_error_names_the_wrong_text_and_the_allowed_texts(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_fault_plan(text)
