"""Tests of docker-compose.yml. They run its services as local processes on a real broker."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.setting_keys import Settings
from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.deploy.compose import COMPOSE_FILE, read_compose, services
from tests.deploy.compose_stack import ComposeStack
from tests.deploy.image import build_image
from tests.deploy.kernel_copies import copy_compiled_kernels

DEFAULT_SETTINGS = Settings()
PREDICT_REQUEST = {"rows": [{"timestamp": "2025-01-01T00:00:00", "x1": 0.1, "x2": 0.2, "x3": 0.3}]}


def _schema_check_exit_code(path: Path) -> int:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    program = Path(sys.executable).with_name(command[0])
    return subprocess.run([program, *command[1:]], capture_output=True, check=False).returncode


def test_the_compose_file_is_valid_by_the_compose_specification(tmp_path: Path) -> None:
    assert _schema_check_exit_code(COMPOSE_FILE) == 0
    broken_file = tmp_path / "broken.yml"
    broken_file.write_text(COMPOSE_FILE.read_text().replace("healthcheck:", "healthchek:"))
    assert _schema_check_exit_code(broken_file) == 1, "the check must report a misspelt key"


def test_every_dependency_is_a_service_with_a_health_check_if_needed() -> None:
    compose_services = services()
    for service in compose_services.values():
        for name, condition in service.dependencies.items():
            assert name in compose_services
            if condition == "service_healthy":
                assert compose_services[name].healthcheck


def test_published_ports_are_the_default_ports_of_the_services() -> None:
    compose_services = services()
    assert compose_services["consumer"].container_ports == (DEFAULT_SETTINGS.consumer.http_port,)
    assert compose_services["api"].container_ports == (DEFAULT_SETTINGS.api.port,)
    assert compose_services["notify"].container_ports == (DEFAULT_SETTINGS.notify.http_port,)


def test_the_page_needs_no_key_and_only_this_computer_reaches_its_port() -> None:
    api = services()["api"]

    assert api.environment["SENSORWATCH__PAGE__PUBLISHED_ON_LOOPBACK"] == "true"
    assert api.environment["SENSORWATCH__API__HOST"] == "0.0.0.0"
    assert read_compose()["services"]["api"]["ports"] == ["127.0.0.1:8000:8000"]


def test_docker_waits_longer_for_a_stop_than_the_consumer_needs() -> None:
    assert services()["consumer"].grace_seconds > DEFAULT_SETTINGS.consumer.shutdown_seconds


def test_external_images_are_pinned() -> None:
    external_images = [service.image for service in services().values() if not service.is_ours]
    assert len(external_images) == 4
    assert [
        image for image in external_images if ":" not in image or image.endswith(":latest")
    ] == []


@pytest.fixture(scope="module")
def stack(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """Return a stack in which all services of this project's image are started and healthy."""
    image = build_image(tmp_path_factory.mktemp("image"))
    copy_compiled_kernels(
        Path(image.environment["PYTHONPATH"]) / "sensorwatch",
        numba_cache_dir=image.environment["NUMBA_CACHE_DIR"],
    )
    new_stack = ComposeStack(kafka, image)
    try:
        new_stack.start_services()
        for name in ("consumer", "api", "notify"):
            wait_until(
                lambda name=name: new_stack.is_healthy(name),  # type: ignore[misc] # bound now
                deadline=60,
                what=f"{name} to be healthy\n{new_stack.logs()}",
                every=0.5,
            )
        yield new_stack
    finally:
        new_stack.close()


@pytest.mark.broker
@pytest.mark.slow
class TestServices:
    """Tests of running services, which the command lines of the compose file started."""

    def test_one_shot_services_end_with_success(self, stack: ComposeStack) -> None:
        assert stack.exit_codes == {"topics": 0, "sample": 0, "trainer": 0}

    def test_the_trainer_registers_a_champion_in_the_volume(self, stack: ComposeStack) -> None:
        registry = Registry(stack.image.data_folder / "registry")
        assert registry.load("default").detector.version.startswith("default-0001-")

    def test_the_consumer_is_ready_and_scores_the_records_of_the_producer(
        self, stack: ComposeStack
    ) -> None:
        port = stack.consumer_port
        assert stack.fetch(port, "/livez") == b"ok\n"
        wait_until(
            lambda: stack.metric_value(port, "sensorwatch_rows_scored_total") > 1_000,
            deadline=40,
            what="a thousand rows to be scored",
            every=0.2,
        )
        assert stack.fetch(port, "/readyz") == b"ok\n"
        consumed_series = f'sensorwatch_records_consumed_total{{topic="{stack.topic}"}}'
        assert stack.metric_value(port, consumed_series) >= 1_000
        assert stack.programs["producer"].running

    def test_the_api_is_healthy_and_predicts_with_the_same_version(
        self, stack: ComposeStack
    ) -> None:
        wait_until(
            lambda: b"serving" in stack.programs["api"].log.read_bytes(),
            deadline=30,
            what="the API to serve",
        )
        champion_version = (
            Registry(stack.image.data_folder / "registry").load("default").detector.version
        )
        assert champion_version in stack.fetch(stack.api_port, "/health").decode()
        answer = json.loads(stack.fetch(stack.api_port, "/predict", PREDICT_REQUEST))
        assert answer["model_version"] == champion_version
        assert len(answer["rows"]) == 1

    def test_logs_are_json_lines(self, stack: ComposeStack) -> None:
        for name in ("consumer", "api", "trainer", "notify"):
            first_line = stack.programs[name].log.read_text().splitlines()[0]
            assert "event" in json.loads(first_line), name

    def test_no_file_is_written_outside_the_volume(self, stack: ComposeStack) -> None:
        assert [path.name for path in stack.image.app_folder.iterdir()] == ["schemas"]

    def test_a_stop_ends_every_service_in_time_and_health_checks_fail(
        self, stack: ComposeStack
    ) -> None:
        """The test must be the last of its class, because it stops all services."""
        running_programs = {
            name: program for name, program in stack.programs.items() if program.running
        }
        assert set(running_programs) == {"producer", "consumer", "api", "notify"}
        exit_codes = {
            name: program.terminate(deadline=stack.services[name].grace_seconds)
            for name, program in running_programs.items()
        }
        assert exit_codes == {"producer": 0, "consumer": 0, "api": 0, "notify": 0}, stack.logs()
        assert not stack.is_healthy("consumer")
        assert not stack.is_healthy("api")
        assert not stack.is_healthy("notify")
