"""The services of the demo: a broker in this process, and API and consumer as child processes."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sensorwatch.common.errors import UsageError
from sensorwatch.common.runtime.kernel_compilation import JOBS, KernelCompilation
from sensorwatch.common.runtime.settings import Settings, load_settings
from sensorwatch.demo.alerting import (
    Alerting,
    alertmanager_process,
    installed_program,
    notify_settings,
)
from sensorwatch.demo.consumer_metrics import http_get
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.demo.first_model import (
    TRAINING_JOBS,
    simulate_training_rows,
    train_first_model,
    wait_for_kernels,
)
from sensorwatch.demo.scenario import Scenario
from sensorwatch.demo.service_process import ServiceProcess

_SCHEMA_FILE = Path(__file__).parents[1] / "schemas" / "default.toml"
_CONFIG_TEMPLATE = """\
# The configuration of a running `sensorwatch demo`; it is deleted when the demo ends.
[kafka]
"bootstrap.servers" = {broker}
[schema]
path = {schema}
[registry]
path = {registry}
[consumer]
group = "demo"
delivery = "at_least_once"       # the embedded broker has no transactions
http_port = 0
[api]
port = 0
"""


@dataclass(frozen=True, slots=True)
class Services:
    """The running services and their addresses."""

    settings: Settings
    config: Path
    """The configuration file; other commands need it to use the broker of the demo."""
    broker: str
    consumer: ServiceProcess
    consumer_address: str
    api: ServiceProcess
    api_address: str
    alerting: Alerting | None = None
    """Alertmanager and notifier; None if no Alertmanager is installed."""

    def check(self) -> None:
        """Raise CheckFailed with the end of the log if a service has ended."""
        processes = [self.consumer, self.api]
        if self.alerting is not None:
            processes += [self.alerting.alertmanager, self.alerting.notifier]
        for process in processes:
            process.check()


@contextmanager
def start_services(
    scenario: Scenario,
    compilation: KernelCompilation,
    *,
    keeps_folder: bool,
    on_step: Callable[[str], object],
    stopping: Callable[[], bool],
) -> Iterator[Services]:
    """Start all services with a first model; stop them and delete their files at the end.

    `keeps_folder`: the files (configuration, training rows, registry, logs) are not deleted.

    `compilation`: the running compilation of the kernels; this function closes it when every kernel
    is compiled. Raises KeyboardInterrupt if `stopping` returns True before all services are ready.
    Raises CheckFailed if a service ends.
    """

    def step(text: str) -> None:
        if stopping():
            raise KeyboardInterrupt
        on_step(text)

    with ExitStack() as stack:
        folder = _new_folder(stack, keeps_folder=keeps_folder)
        step("starting a Kafka broker in this process")
        broker = stack.enter_context(EmbeddedBroker())
        alertmanager = _start_alertmanager(stack, folder, stopping)
        config = _write_config(folder, broker.address, alertmanager)
        settings = load_settings(config, environ={}).settings
        _create_topics(broker, settings)

        def start_service(
            name: str, module: str, *command: str, **environment: str
        ) -> ServiceProcess:
            process = ServiceProcess(
                name,
                [sys.executable, "-m", module, *command, "--config", str(config)],
                log=folder / f"{name}.log",
                environment=environment,
            )
            return stack.enter_context(process)

        data = folder / "healthy.csv"
        simulate_training_rows(scenario, data, step)
        wait_for_kernels(compilation, TRAINING_JOBS, step, stopping)
        # The API loads its code while the model is trained, and waits for a champion.
        api = start_service("API", "sensorwatch", "serve")
        train_first_model(settings, data, step)
        wait_for_kernels(compilation, JOBS, step, stopping)
        compilation.close()
        step("starting the consumer")
        consumer = start_service("consumer", "sensorwatch.consumer")
        api_address = _wait_until_ready(api, "address", stopping)
        alerting = None
        if alertmanager is not None:
            link = {"SENSORWATCH__NOTIFY__PAGE_URL": api_address}
            notifier = start_service("notifier", "sensorwatch", "notify", **link)
            alerting = Alerting(*alertmanager, notifier)
            _wait_until_ready(notifier, "health", stopping)
        yield Services(
            settings=settings,
            config=config,
            broker=broker.address,
            consumer=consumer,
            consumer_address=_wait_until_ready(consumer, "health", stopping),
            api=api,
            api_address=api_address,
            alerting=alerting,
        )


def _start_alertmanager(
    stack: ExitStack, folder: Path, stopping: Callable[[], bool]
) -> tuple[ServiceProcess, str] | None:
    """Start an Alertmanager if one is installed. Return its process and address, or None."""
    program = installed_program()
    if program is None:
        return None
    process = stack.enter_context(alertmanager_process(program, folder))
    host_and_port = process.wait_for(lambda: process.logged_value("address"), stopping=stopping)
    return process, f"http://{host_and_port}"


def _new_folder(stack: ExitStack, *, keeps_folder: bool) -> Path:
    if keeps_folder:
        return Path(tempfile.mkdtemp(prefix="sensorwatch-demo-"))
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sensorwatch-demo-")))


def _create_topics(broker: EmbeddedBroker, settings: Settings) -> None:
    topics = settings.topics
    names = (topics.readings, topics.anomalies, topics.dead_letters)
    own_topics = (
        settings.ledger_topic,
        settings.state_topic,
        settings.scores_topic,
        settings.open_episodes_topic,
    )
    for name in (*names, *own_topics):
        broker.create_topic(name)


def _wait_until_ready(
    process: ServiceProcess, address_field: str, stopping: Callable[[], bool]
) -> str:
    """Wait until a service has logged its address and is ready (`/readyz`); return the address."""
    address = process.wait_for(lambda: process.logged_value(address_field), stopping=stopping)
    process.wait_for(lambda: http_get(f"{address}/readyz"), stopping=stopping)
    return address


def _write_config(
    folder: Path, broker: str, alertmanager: tuple[ServiceProcess, str] | None
) -> Path:
    if not _SCHEMA_FILE.exists():
        raise UsageError(f"there is no file {_SCHEMA_FILE}: install sensorwatch again")
    config = folder / "sensorwatch.toml"
    # For printable text, a JSON string is also a valid TOML string.
    quoted_values = {
        "broker": json.dumps(broker),
        "schema": json.dumps(str(_SCHEMA_FILE), ensure_ascii=False),
        "registry": json.dumps(str(folder / "registry"), ensure_ascii=False),
    }
    text = _CONFIG_TEMPLATE.format(**quoted_values)
    if alertmanager is not None:
        text += notify_settings(alertmanager[1], datetime.now(UTC))
    config.write_text(text, encoding="utf-8")
    return config
