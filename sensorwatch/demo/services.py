"""The services of the demo: a broker in this process, and API and consumer as child processes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sensorwatch.common.errors import CheckFailed, UsageError
from sensorwatch.common.runtime.kernel_compilation import JOBS, KernelCompilation
from sensorwatch.common.runtime.settings import Settings, load_settings
from sensorwatch.demo.consumer_metrics import http_get
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.demo.first_model import (
    TRAINING_JOBS,
    simulate_training_rows,
    train_first_model,
    wait_for_kernels,
)
from sensorwatch.demo.scenario import Scenario

START_SECONDS = 120.0
_STOP_SECONDS = 8.0
_POLL_SECONDS = 0.05
_LOG_LINES = 15
_PROJECT_FOLDER = Path(__file__).parents[2]
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

T = TypeVar("T")


class ServiceProcess:
    """A child process `python -m MODULE ...`, whose output is written to a log file."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path) -> None:
        """Start the process. At the end of a `with` block, the process is stopped."""
        self.name = name
        self._log = log
        # Settings in environment variables are for the user's own broker, so the demo must ignore
        # them.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SENSORWATCH__")
        }
        with log.open("wb") as log_output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is a module of this project
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=log_output,
                stderr=subprocess.STDOUT,
                env={**environment, "SENSORWATCH__LOG__FORMAT": "json"},
                cwd=_PROJECT_FOLDER,
                # A child in its own session does not receive Ctrl-C; the demo stops its children in
                # the right order.
                start_new_session=True,
            )

    def logged_value(self, field: str) -> str | None:
        """Return a field's value in the newest log line that has the field, or None."""
        for line in reversed(self._log_lines()):
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and field in entry:
                    return str(entry[field])
        return None

    def wait_for(self, probe: Callable[[], T | None], *, stopping: Callable[[], bool]) -> T:
        """Call `probe` until it returns a value, and return the value.

        Raises CheckFailed with the end of the log if the process ends, or after START_SECONDS.
        Raises KeyboardInterrupt if `stopping` returns True.
        """
        deadline = time.monotonic() + START_SECONDS
        while (result := probe()) is None:
            self.check()
            if stopping():
                raise KeyboardInterrupt
            if time.monotonic() > deadline:
                raise CheckFailed(
                    f"the {self.name} was not ready in {START_SECONDS:g} s{self._log_end()}"
                )
            time.sleep(_POLL_SECONDS)
        return result

    def check(self) -> None:
        """Raise CheckFailed with the end of the log if the process has ended."""
        exit_code = self._process.poll()
        if exit_code is not None:
            raise CheckFailed(f"the {self.name} ended with exit code {exit_code}{self._log_end()}")

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not end in time.

        A second call does nothing.
        """
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _log_lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _log_end(self) -> str:
        lines = self._log_lines()[-_LOG_LINES:]
        return "; its log ends with:\n" + "\n".join(lines) if lines else "; its log is empty"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


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
        config = _write_config(folder, broker.address)
        settings = load_settings(config, environ={}).settings
        _create_topics(broker, settings)

        def start_service(name: str, *command: str) -> ServiceProcess:
            arguments = [*command, "--config", str(config)]
            process = ServiceProcess(name, arguments, log=folder / f"{name}.log")
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
        yield Services(
            settings=settings,
            config=config,
            broker=broker.address,
            consumer=consumer,
            consumer_address=_wait_until_ready(consumer, "health", stopping),
            api=api,
            api_address=_wait_until_ready(api, "address", stopping),
        )


def _new_folder(stack: ExitStack, *, keeps_folder: bool) -> Path:
    if keeps_folder:
        return Path(tempfile.mkdtemp(prefix="sensorwatch-demo-"))
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sensorwatch-demo-")))


def _create_topics(broker: EmbeddedBroker, settings: Settings) -> None:
    topics = settings.topics
    names = (topics.readings, topics.anomalies, topics.dead_letters)
    for name in (*names, settings.ledger_topic, settings.state_topic, settings.scores_topic):
        broker.create_topic(name)


def _wait_until_ready(
    process: ServiceProcess, address_field: str, stopping: Callable[[], bool]
) -> str:
    """Wait until a service has logged its address and is ready (`/readyz`); return the address."""
    address = process.wait_for(lambda: process.logged_value(address_field), stopping=stopping)
    process.wait_for(lambda: http_get(f"{address}/readyz"), stopping=stopping)
    return address


def _write_config(folder: Path, broker: str) -> Path:
    if not _SCHEMA_FILE.exists():
        raise UsageError(f"there is no file {_SCHEMA_FILE}: install sensorwatch again")
    config = folder / "sensorwatch.toml"
    # For printable text, a JSON string is also a valid TOML string.
    quoted_values = {
        "broker": json.dumps(broker),
        "schema": json.dumps(str(_SCHEMA_FILE), ensure_ascii=False),
        "registry": json.dumps(str(folder / "registry"), ensure_ascii=False),
    }
    config.write_text(_CONFIG_TEMPLATE.format(**quoted_values), encoding="utf-8")
    return config
