"""A complete run says first how long it takes here, and which tests do not run, and why."""

import pytest

from tests import conftest
from tests.announcement import Need, lines

KAFKA = Need("tests on a real Kafka", "no `java` (17 or newer) on the PATH")


def test_a_missing_program_names_the_tests_that_are_skipped() -> None:
    said = lines("", None, [KAFKA])

    assert "skipped: tests on a real Kafka: no `java` (17 or newer) on the PATH" in said


def test_a_missing_program_is_a_failure_if_it_is_required() -> None:
    (_, said, _) = lines("", None, [Need(KAFKA.tests, KAFKA.missing, required=True)])

    assert said.startswith("fails: tests on a real Kafka")
    assert said.endswith("and SENSORWATCH_REQUIRE_KAFKA is set")


def test_what_is_there_is_not_mentioned() -> None:
    assert len(lines("", None, [Need("tests on a real Kafka", None)])) == 2


def test_the_duration_is_that_of_the_last_run_with_the_same_tests() -> None:
    assert lines("", 550.0, [])[0] == "time: about 9 minutes, as the last such run here"
    assert lines("not slow", 42.0, [])[0] == "time: about 42 seconds, as the last such run here"


def test_a_first_run_gets_an_estimate() -> None:
    assert "on two cores; not measured here yet" in lines("", None, [])[0]


def test_deselected_tests_are_named_by_their_markers() -> None:
    assert lines("", None, [])[-1] == "deselected: no test"
    assert lines("not slow", None, [])[-1] == (
        "deselected: every test that does not match -m 'not slow'"
    )


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project of one test, with the hooks of ours."""
    pytester.makeini("[pytest]\ntestpaths = .\nmarkers = broker")
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile("import pytest\n@pytest.mark.broker\ndef test_one(): pass")
    return pytester


def test_a_complete_run_announces_the_duration_of_the_run_before(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "_missing", lambda: None)

    first, second = project.runpytest_inprocess(), project.runpytest_inprocess()

    first.stdout.fnmatch_lines("time: * not measured here yet")
    second.stdout.fnmatch_lines("time: about * seconds, as the last such run here")


def test_a_run_without_pytests_cache_is_announced_too(project: pytest.Pytester) -> None:
    ended = project.runpytest_inprocess("-p", "no:cacheprovider", "--collect-only")

    assert ended.ret == pytest.ExitCode.OK
    ended.stdout.fnmatch_lines("time: * not measured here yet")


def test_a_run_of_named_files_announces_nothing(project: pytest.Pytester) -> None:
    ended = project.runpytest_inprocess("--collect-only", "--", *project.path.glob("test_*.py"))

    ended.stdout.no_fnmatch_line("time: *")
