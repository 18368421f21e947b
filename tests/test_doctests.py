"""The examples in docstrings run and print what they claim."""

import doctest
from importlib import import_module

import pytest

MODULES = (
    "sensorwatch.common.scoring.detector",
    "sensorwatch.common.scoring.processing",
    "sensorwatch.notebook.detector",
    "sensorwatch.notebook.registry",
)
"""The modules with examples."""


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_correct(name: str) -> None:
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

    result = doctest.testmod(import_module(name), optionflags=flags)

    assert result.attempted > 0
    assert result.failed == 0
