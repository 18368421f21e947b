"""The documented table of exit codes is the truth."""

import re

import sensorwatch.common.errors
from sensorwatch.common.errors import SensorwatchError


def _classes(of: type[SensorwatchError]) -> list[type[SensorwatchError]]:
    return [of, *(below for child in of.__subclasses__() for below in _classes(child))]


def test_every_error_stands_in_the_table_with_its_code() -> None:
    table = dict(
        re.findall(
            r"^[├└│─ ]+(\w+) +(\d+|-) ", sensorwatch.common.errors.__doc__ or "", re.MULTILINE
        )
    )
    ours = [
        error
        for error in _classes(SensorwatchError)
        if error.__module__ == "sensorwatch.common.errors"
    ]

    assert set(table) == {error.__name__ for error in ours} - {"SensorwatchError"}
    for error in ours:
        code = table.get(error.__name__, "-")
        # A dash: the loop answers it, so it never ends a command in its own way.
        assert error.exit_code == (70 if code == "-" else int(code)), error


def test_no_two_reactions_share_a_code_but_those_of_one_branch() -> None:
    roots = SensorwatchError.__subclasses__()
    codes = [root.exit_code for root in roots if root.exit_code != 70]

    assert len(set(codes)) == len(codes)
    assert all(below.exit_code == root.exit_code for root in roots for below in _classes(root)), (
        "a class below another keeps its code"
    )
