"""Every example in a docstring prints the output that the docstring shows."""

import doctest
from importlib import import_module

import pytest

MODULES_WITH_EXAMPLES = (
    "sensorwatch.common.scoring.detector",
    "sensorwatch.common.scoring.processing",
    "sensorwatch.notebook.frame_detector",
    "sensorwatch.notebook.registry",
    "sensorwatch.schema_inference.time_pattern_filter",
)
"""The modules whose docstrings contain examples."""


@pytest.mark.parametrize("module", MODULES_WITH_EXAMPLES)
def test_the_examples_of_a_module_are_correct(module: str) -> None:
    doctest_flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

    result = doctest.testmod(import_module(module), optionflags=doctest_flags)

    assert result.attempted > 0
    assert result.failed == 0
