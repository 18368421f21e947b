"""Which tests share a worker of xdist, and which ones coverage measures."""

import pytest

TESTS = """
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
def items(pytester: pytest.Pytester) -> list[pytest.Item]:
    """One test of each kind, collected with the hooks of ours."""
    pytester.makeini("[pytest]\nmarkers =\n  broker\n  slow")
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(TESTS)
    actual, _ = pytester.inline_genitems()
    return actual


def marked(items: list[pytest.Item], marker: str) -> list[str]:
    """The names of the tests that have a marker."""
    return [item.name for item in items if item.get_closest_marker(marker) is not None]


def test_one_worker_runs_all_tests_on_a_real_kafka(items: list[pytest.Item]) -> None:
    groups = [mark.args for item in items for mark in item.iter_markers("xdist_group")]

    assert marked(items, "xdist_group") == ["test_on_kafka"]
    assert groups == [("broker",)]


def test_coverage_is_measured_in_quick_tests_only(items: list[pytest.Item]) -> None:
    assert marked(items, "no_cover") == ["test_on_kafka", "test_slow", "test_generated"]
