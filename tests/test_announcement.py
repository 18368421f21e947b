"""A complete test run first prints its expected duration and the tests that it skips."""

import pytest

from tests import conftest
from tests.announcement import Prerequisite, announcement_lines

MISSING_KAFKA = Prerequisite("tests on a real Kafka", "no `java` (17 or newer) on the PATH")


def test_a_missing_program_names_the_tests_that_are_skipped() -> None:
    announced_lines = announcement_lines("", None, [MISSING_KAFKA])

    assert "skipped: tests on a real Kafka: no `java` (17 or newer) on the PATH" in announced_lines


def test_a_missing_program_is_a_failure_if_it_is_required() -> None:
    (_, announced_line, _) = announcement_lines(
        "",
        None,
        [Prerequisite(MISSING_KAFKA.needed_by, MISSING_KAFKA.missing_reason, is_required=True)],
    )

    assert announced_line.startswith("fails: tests on a real Kafka")
    assert announced_line.endswith("and SENSORWATCH_REQUIRE_KAFKA is set")


def test_an_available_program_is_not_mentioned() -> None:
    assert len(announcement_lines("", None, [Prerequisite("tests on a real Kafka", None)])) == 2


def test_the_announced_duration_is_that_of_the_last_run_with_the_same_tests() -> None:
    assert (
        announcement_lines("", 550.0, [])[0] == "time: about 9 minutes, as the last such run here"
    )
    assert (
        announcement_lines("not slow", 42.0, [])[0]
        == "time: about 42 seconds, as the last such run here"
    )


def test_the_first_run_announces_a_typical_duration() -> None:
    assert "on two cores; not measured here yet" in announcement_lines("", None, [])[0]


def test_deselected_tests_are_named_by_their_markers() -> None:
    assert announcement_lines("", None, [])[-1] == "deselected: no test"
    assert announcement_lines("not slow", None, [])[-1] == (
        "deselected: every test that does not match -m 'not slow'"
    )


@pytest.fixture
def one_test_project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a test project with one test and with the pytest hooks of this repository."""
    pytester.makeini("[pytest]\ntestpaths = .\nmarkers = broker")
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile("import pytest\n@pytest.mark.broker\ndef test_one(): pass")
    return pytester


def test_a_complete_run_announces_the_duration_of_the_previous_run(
    one_test_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "_kafka_missing", lambda: None)

    first_run, second_run = (
        one_test_project.runpytest_inprocess(),
        one_test_project.runpytest_inprocess(),
    )

    first_run.stdout.fnmatch_lines("time: * not measured here yet")
    second_run.stdout.fnmatch_lines("time: about * seconds, as the last such run here")


def test_a_run_without_pytests_cache_is_announced_too(one_test_project: pytest.Pytester) -> None:
    result = one_test_project.runpytest_inprocess("-p", "no:cacheprovider", "--collect-only")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines("time: * not measured here yet")


def test_a_run_of_named_files_announces_nothing(one_test_project: pytest.Pytester) -> None:
    result = one_test_project.runpytest_inprocess(
        "--collect-only", "--", *one_test_project.path.glob("test_*.py")
    )

    result.stdout.no_fnmatch_line("time: *")
