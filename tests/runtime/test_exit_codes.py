"""The table of exit codes in the documentation agrees with the error classes."""

import re

import sensorwatch.common.errors
from sensorwatch.common.errors import SensorwatchError


def _with_subclasses(error_class: type[SensorwatchError]) -> list[type[SensorwatchError]]:
    return [
        error_class,
        *(
            subclass
            for direct_subclass in error_class.__subclasses__()
            for subclass in _with_subclasses(direct_subclass)
        ),
    ]


def test_the_table_lists_every_error_with_its_code() -> None:
    code_by_name = dict(
        re.findall(
            r"^[├└│─ ]+(\w+) +(\d+|-) ", sensorwatch.common.errors.__doc__ or "", re.MULTILINE
        )
    )
    error_classes = [
        error_class
        for error_class in _with_subclasses(SensorwatchError)
        if error_class.__module__ == "sensorwatch.common.errors"
    ]

    assert set(code_by_name) == {error_class.__name__ for error_class in error_classes} - {
        "SensorwatchError"
    }
    for error_class in error_classes:
        code = code_by_name.get(error_class.__name__, "-")
        # A dash in the table: the consumer loop handles this error, so it has no exit code of its
        # own.
        assert error_class.exit_code == (70 if code == "-" else int(code)), error_class


def test_only_a_base_class_and_its_subclasses_share_an_exit_code() -> None:
    base_classes = SensorwatchError.__subclasses__()
    exit_codes = [base_class.exit_code for base_class in base_classes if base_class.exit_code != 70]

    assert len(set(exit_codes)) == len(exit_codes)
    assert all(
        subclass.exit_code == base_class.exit_code
        for base_class in base_classes
        for subclass in _with_subclasses(base_class)
    ), "a subclass has the exit code of its base class"
