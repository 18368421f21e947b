"""The pytest hooks choose which tests share an xdist worker and which are measured for coverage."""

import pytest

TEST_SOURCE = """
    import pytest
    from hypothesis import given
    from hypothesis.strategies import integers

    def test_quick(): pass

    @pytest.mark.broker
    def test_on_kafka(): pass

    @pytest.mark.slow
    def test_slow(): pass

    @given(integers())
    def test_generated(number): pass

    @pytest.mark.parametrize("case", range(22))
    def test_cases(case): pass
"""


@pytest.fixture
def collected_tests(pytester: pytest.Pytester) -> list[pytest.Item]:
    """Collect one test of each kind with the pytest hooks of this repository; return the tests."""
    pytester.makeini("[pytest]\nmarkers =\n  broker\n  slow")
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(TEST_SOURCE)
    collected_items, _ = pytester.inline_genitems()
    return collected_items


def names_with_marker(collected_tests: list[pytest.Item], marker: str) -> list[str]:
    """Return the names of the tests that have the marker `marker`."""
    return [item.name for item in collected_tests if item.get_closest_marker(marker) is not None]


def test_coverage_is_measured_in_quick_tests_only(collected_tests: list[pytest.Item]) -> None:
    assert names_with_marker(collected_tests, "no_cover") == [
        "test_on_kafka",
        "test_slow",
        "test_generated",
        "test_cases[20]",
        "test_cases[21]",
    ]


def test_a_run_of_the_broker_tests_imports_only_their_files(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers =\n  broker\n  slow")
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(test_with_kafka=TEST_SOURCE, test_without_kafka="raise AssertionError")

    collected_items, _ = pytester.inline_genitems("-m", "broker and not slow")

    assert {item.path.name for item in collected_items} == {"test_with_kafka.py"}


def test_a_broker_marker_that_the_file_does_not_name_is_an_error(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nmarkers =\n  broker")
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(
        test_hidden="import pytest\nneeds_kafka = getattr(pytest.mark, 'broker')\n"
        "@needs_kafka\ndef test_on_kafka(): pass\n"
    )

    result = pytester.runpytest_inprocess("--collect-only")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*its text does not contain `mark.broker`*"])
