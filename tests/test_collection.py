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
    ]
