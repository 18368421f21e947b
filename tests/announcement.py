"""The lines that a complete test run prints first: expected duration and skipped tests."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.brokers.jars import reason_java_is_missing
from tests.brokers.real_kafka import REQUIRE_VARIABLE, kafka_required, reason_kafka_is_missing
from tests.deploy.prometheus import prometheus_missing
from tests.skab_files import skab_missing

_CACHE_KEY = "sensorwatch/seconds"
_TYPICAL_SECONDS = 600
"""Approximate duration of a complete run with a real Kafka on two cores."""


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """A program or data set that some tests need and that may be missing on this machine."""

    needed_by: str
    missing_reason: str | None
    """The reason why the program or data set is missing; None if it is present."""
    is_required: bool = False
    """True if the tests fail without the program or data set; False if they are skipped."""


def prerequisites() -> list[Prerequisite]:
    """Return the prerequisites of all tests; each missing one has its `missing_reason` set."""
    kafka_is_required = kafka_required()
    return [
        Prerequisite("tests on a real Kafka", reason_kafka_is_missing(), kafka_is_required),
        Prerequisite(
            "tests with a proxy before Kafka", reason_java_is_missing(), kafka_is_required
        ),
        Prerequisite("tests with a real Prometheus", prometheus_missing(), kafka_is_required),
        Prerequisite("tests on the SKAB files", skab_missing()),
    ]


def is_complete(config: pytest.Config) -> bool:
    """Return True if a run covers all test files, as `make test` does."""
    covers_test_paths = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return covers_test_paths and not config.getoption("keyword")


def announcement(config: pytest.Config) -> list[str]:
    """Return the lines that a complete test run prints before its first test."""
    expression = config.getoption("markexpr")
    return announcement_lines(
        expression, _seconds_by_expression(config).get(expression), prerequisites()
    )


def remember_duration(config: pytest.Config, seconds: float) -> None:
    """Store the duration of a complete test run, which the next run announces."""
    cache = _cache(config)
    if cache is not None:
        seconds_by_expression = {
            **_seconds_by_expression(config),
            config.getoption("markexpr"): seconds,
        }
        cache.set(_CACHE_KEY, seconds_by_expression)


def announcement_lines(
    expression: str, seconds: float | None, all_prerequisites: Iterable[Prerequisite]
) -> list[str]:
    """Return the announcement as lines.

    `expression`: the marker expression (`-m`) that selects the tests, empty if all tests run;
    `seconds`: the duration of the last complete run with this expression; None if unknown.
    """
    return [
        f"time: {_duration_text(expression, seconds)}",
        *(
            _missing_line(prerequisite)
            for prerequisite in all_prerequisites
            if prerequisite.missing_reason is not None
        ),
        f"deselected: every test that does not match -m '{expression}'"
        if expression
        else "deselected: no test",
    ]


def _duration_text(expression: str, seconds: float | None) -> str:
    if seconds is not None:
        return f"{_rounded_duration(seconds)}, as the last such run here"
    if expression:
        return "not measured here yet"
    return f"{_rounded_duration(_TYPICAL_SECONDS)} on two cores; not measured here yet"


def _rounded_duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {seconds:.0f} seconds"
    return f"about {seconds / 60:.0f} minutes"


def _missing_line(prerequisite: Prerequisite) -> str:
    reason = f"{prerequisite.needed_by}: {prerequisite.missing_reason}"
    if prerequisite.is_required:
        return f"fails: {reason}, and {REQUIRE_VARIABLE} is set"
    return f"skipped: {reason}"


def _seconds_by_expression(config: pytest.Config) -> dict[str, float]:
    cache = _cache(config)
    seconds_by_expression: dict[str, float] = {} if cache is None else cache.get(_CACHE_KEY, {})
    return seconds_by_expression


def _cache(config: pytest.Config) -> pytest.Cache | None:
    """Return the cache that pytest keeps between runs; None if pytest runs without a cache."""
    # With `-p no:cacheprovider`, `config` has no attribute `cache`.
    return getattr(config, "cache", None)
