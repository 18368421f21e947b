"""The fixtures that any test may ask for: real brokers, shared or its own, and imitated ones."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

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
from tests.brokers.real_kafka import kafka_missing, kafka_required, own_server, shared_server

# In CI the same examples each time, so that a change is judged by itself; elsewhere new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

_missing = cache(kafka_missing)
_start = pytest.StashKey[float]()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Announce a complete run: how long it takes here, and what it leaves out."""
    return announcement.announcement(config) if announcement.is_complete(config) else []


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note when the run starts."""
    session.config.stash[_start] = time.monotonic()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how long a complete run took. A worker of xdist sees only a part of the run."""
    config = session.config
    in_worker = hasattr(config, "workerinput")
    if exitstatus == pytest.ExitCode.OK and announcement.is_complete(config) and not in_worker:
        announcement.remember_duration(config, time.monotonic() - config.stash[_start])


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Assign the tests on a real Kafka to one worker of xdist, and coverage to the quick tests.

    Tests of one group run in one worker, in order: they share one broker, and two of them never put
    it under load at the same time. A tracer would nearly double the time of slow tests and of tests
    with many generated examples, for few more lines.
    """
    for item in items:
        on_kafka = item.get_closest_marker("broker") is not None
        if on_kafka:
            item.add_marker(pytest.mark.xdist_group("broker"))
        if on_kafka or item.get_closest_marker("slow") is not None or _is_generated(item):
            item.add_marker(pytest.mark.no_cover)


def _is_generated(item: pytest.Item) -> bool:
    """Say whether hypothesis generates the examples of a test."""
    return isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured text: a worker of xdist cannot send them and ends."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, saying why, what needs a real broker where none can be had; fail where one must be."""
    if item.get_closest_marker("broker") is None:
        return
    reason = _missing()
    if reason is not None:
        _without_broker(reason)


def _without_broker(reason: str) -> None:
    if kafka_required():
        pytest.fail(f"{reason}, and SENSORWATCH_REQUIRE_KAFKA is set", pytrace=False)
    pytest.skip(reason)


@contextmanager
def _running(make: Callable[[Path], Server], home: Path) -> Iterator[Kafka]:
    """Run the server that `make` gives for `home`; skip or fail where none can be had."""
    try:
        broker = Kafka(make(home))
    except BrokerMissing as error:
        _without_broker(str(error))
        raise
    try:
        yield broker.start()
    finally:
        broker.close()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Give the real Kafka that the whole run shares; use topics of your own, never kill it."""
    with _running(shared_server, tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Give a real Kafka of this test's own, which it may kill and start again."""
    with _running(own_server, tmp_path_factory.mktemp("own-kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def proxied_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kafka, KafkaProxy]]:
    """Give a real Kafka whose clients all pass a proxy, and the proxy; it runs from the jars."""
    port = free_port()
    try:
        server = JarServer(tmp_path_factory.mktemp("proxied-kafka"), advertised_port=port)
    except BrokerMissing as error:
        _without_broker(str(error))
        raise
    broker = Kafka(server)
    with KafkaProxy(port=port, upstream=server.port) as proxy:
        try:
            yield broker.start(), proxy
        finally:
            broker.close()


@pytest.fixture
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Give three real brokers of this test's own, which it may kill; they run from the jars."""
    try:
        cluster = KafkaCluster(ClusterServer(tmp_path_factory.mktemp("kafka-cluster")))
    except BrokerMissing as error:
        _without_broker(str(error))
        raise
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def mock_cluster() -> Iterator[MockCluster]:
    """Return a mock cluster for one test, which injects errors."""
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """Give the embedded broker that `sensorwatch demo` runs on, fresh and empty."""
    with EmbeddedBroker() as broker:
        yield broker
