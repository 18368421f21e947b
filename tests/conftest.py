"""The fixtures for all tests: real Kafka brokers, mock clusters and the embedded broker."""

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import coverage
import pytest
from hypothesis import is_hypothesis_test, settings

from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests import announcement
from tests.brokers.cluster import ClusterServer, KafkaCluster
from tests.brokers.jar_server import JarServer
from tests.brokers.kafka import BrokerMissing, Kafka, Server
from tests.brokers.mock_cluster import MockCluster
from tests.brokers.ports import free_port
from tests.brokers.proxy import KafkaProxy
from tests.brokers.real_kafka import (
    kafka_required,
    own_server,
    reason_kafka_is_missing,
    shared_server,
)

# In CI, hypothesis generates the same examples in every run, so that only a change of the code can
# make a test fail. Outside CI, hypothesis generates new examples in every run.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

BROKER = "broker"
"""The marker of the tests that need a real Kafka."""
MEASURED_CASES = 20
"""Number of cases of a parametrized test in which coverage is measured."""
UNMEASURED_FOLDERS = {"benchmarks", "brokers", "checker", "deploy", "docs"}
"""Folders of tests whose subject is not part of the measured packages."""

_kafka_missing = cache(reason_kafka_is_missing)
_start_key = pytest.StashKey[float]()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Return the lines that announce a complete run: expected duration and skipped tests."""
    return announcement.announcement(config) if announcement.is_complete(config) else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Store the start time of the run; stop the surplus measurement in a worker of xdist.

    In a worker, pytest-cov starts one measurement of coverage when it is loaded and another one in
    the hook after this one. The marker `no_cover` pauses only the second.
    """
    session.config.stash[_start_key] = time.monotonic()
    surplus = coverage.Coverage.current()
    if surplus is not None and hasattr(session.config, "workerinput"):
        surplus.stop()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Store how long a complete run took.

    A worker of xdist stores nothing, because it runs only a part of the tests.
    """
    config = session.config
    is_worker = hasattr(config, "workerinput")
    if exitstatus == pytest.ExitCode.OK and announcement.is_complete(config) and not is_worker:
        announcement.remember_duration(config, time.monotonic() - config.stash[_start_key])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file without broker tests if only broker tests are selected; this saves seconds."""
    words = config.getoption("markexpr").split()
    if words[:1] != [BROKER] or "or" in words:
        return None
    is_test_file = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if is_test_file and not _names_broker_marker(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage only in quick tests, and in the first cases of a parametrized test.

    A measured test takes two to three times as long. The coverage of slow tests, of generated
    examples and of further cases would add only few covered lines.
    """
    case_counts = Counter[str]()
    for item in items:
        needs_kafka = item.get_closest_marker(BROKER) is not None
        if needs_kafka and not _names_broker_marker(item.path):
            raise pytest.UsageError(
                f"{item.path}: its tests have the marker `{BROKER}`, but its text does not contain "
                f"`mark.{BROKER}`. Write the marker in this file, or `pytest -m {BROKER}` skips it"
            )
        test_function = item.nodeid.partition("[")[0]
        case_counts[test_function] += 1
        if (
            needs_kafka
            or item.get_closest_marker("slow") is not None
            or _is_generated(item)
            or case_counts[test_function] > MEASURED_CASES
            or UNMEASURED_FOLDERS & set(item.path.parts)
        ):
            item.add_marker(pytest.mark.no_cover)


@cache
def _names_broker_marker(path: Path) -> bool:
    return f"mark.{BROKER}" in path.read_text(encoding="utf-8")


def _is_generated(item: pytest.Item) -> bool:
    """Return True if hypothesis generates the examples of a test."""
    return isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured text, because they would crash a worker of xdist."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """If no real broker can run, skip a test that needs one; fail it if a broker is required."""
    if item.get_closest_marker(BROKER) is None:
        return
    reason = _kafka_missing()
    if reason is not None:
        _skip_or_fail(reason)


def _skip_or_fail(reason: str) -> None:
    if kafka_required():
        pytest.fail(f"{reason}, and SENSORWATCH_REQUIRE_KAFKA is set", pytrace=False)
    pytest.skip(reason)


@contextmanager
def _run_server(make_server: Callable[[Path], Server], data_dir: Path) -> Iterator[Kafka]:
    """Run the server from `make_server(data_dir)`; if none can run, skip or fail the test."""
    try:
        broker = Kafka(make_server(data_dir))
    except BrokerMissing as error:
        _skip_or_fail(str(error))
        raise
    try:
        yield broker.start()
    finally:
        broker.close()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Return the real Kafka of the test run. A test creates its own topics and never kills it."""
    with _run_server(shared_server, tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Return a real Kafka for one test; the test may kill it and start it again."""
    with _run_server(own_server, tmp_path_factory.mktemp("own-kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def proxied_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kafka, KafkaProxy]]:
    """Return a real Kafka, run from jars, and the proxy through which clients connect to Kafka."""
    port = free_port()
    try:
        server = JarServer(tmp_path_factory.mktemp("proxied-kafka"), advertised_port=port)
    except BrokerMissing as error:
        _skip_or_fail(str(error))
        raise
    broker = Kafka(server)
    with KafkaProxy(port=port, broker_port=server.port) as proxy:
        try:
            yield broker.start(), proxy
        finally:
            broker.close()


@pytest.fixture
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Return three real brokers, run from jars, for one test; the test may kill them."""
    try:
        cluster = KafkaCluster(ClusterServer(tmp_path_factory.mktemp("kafka-cluster")))
    except BrokerMissing as error:
        _skip_or_fail(str(error))
        raise
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def mock_cluster() -> Iterator[MockCluster]:
    """Return a mock cluster for one test; the test can inject errors into it."""
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """Return a newly started embedded broker, as `sensorwatch demo` uses it, without topics."""
    with EmbeddedBroker() as broker:
        yield broker
