"""Everything the demonstration runs on: broker, first champion, consumer and API."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sensorwatch.commands.warmup_command import compile_kernels
from sensorwatch.common.errors import UsageError
from sensorwatch.common.kafka.embedded import EmbeddedBroker
from sensorwatch.common.runtime.settings import Settings, load_settings
from sensorwatch.common.scoring.warmup import is_compiled
from sensorwatch.demonstration.asking import get
from sensorwatch.demonstration.child import Child
from sensorwatch.demonstration.first_model import (
    train_champion,
    write_training_data,
)
from sensorwatch.demonstration.scenario import TRAINING_DAYS, Scenario

START_SECONDS = 60.0
_SCHEMA = Path(__file__).parents[1] / "schemas" / "default.toml"
_CONFIG = """\
# The configuration of a running `sensorwatch demo`; it is gone when the demo ends.
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
class Stage:
    """What runs, and where."""

    settings: Settings
    config: Path
    """The configuration's file: for every command that is to see this demonstration."""
    broker: str
    version: str
    """The first champion."""
    consumer: Child
    consumer_address: str
    api: Child
    api_address: str


@contextmanager
def stage(
    scenario: Scenario, *, say: Callable[[str], object], stopping: Callable[[], bool]
) -> Iterator[Stage]:
    """Start everything, say each step, and end and remove all of it on the way out.

    Raises KeyboardInterrupt where `stopping` before all is up, CheckFailed where a service ends.
    """

    def step(text: str) -> None:
        if stopping():
            raise KeyboardInterrupt
        say(text)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sensorwatch-demo-")))
        step("starting a broker in this process, and the API")
        broker = stack.enter_context(EmbeddedBroker())
        config = _write_config(folder, broker.address)
        settings = load_settings(config, environ={}).settings
        topics = settings.topics
        for topic in (
            topics.readings,
            topics.anomalies,
            topics.dead_letters,
            settings.ledger_topic,
            settings.state_topic,
        ):
            broker.create_topic(topic)
        options = ["--config", str(config)]
        # Already here: it loads while the model is trained, and waits for a champion.
        api = stack.enter_context(
            Child("API", ["sensorwatch", "serve", *options], log=folder / "api.log")
        )
        version = _first_champion(scenario, settings, folder / "healthy.csv", step)
        step("starting the consumer")
        consumer = stack.enter_context(
            Child("consumer", ["sensorwatch.consumer", *options], log=folder / "consumer.log")
        )
        yield Stage(
            settings=settings,
            config=config,
            broker=broker.address,
            version=version,
            consumer=consumer,
            consumer_address=_ready(consumer, "health", stopping),
            api=api,
            api_address=_ready(api, "address", stopping),
        )


def _ready(child: Child, field: str, stopping: Callable[[], bool]) -> str:
    """Wait until a service has logged its address and is ready, and return the address."""
    address = child.wait_for(lambda: child.logged(field), deadline=START_SECONDS, stopping=stopping)
    child.wait_for(lambda: get(f"{address}/readyz"), deadline=START_SECONDS, stopping=stopping)
    return address


def _first_champion(
    scenario: Scenario, settings: Settings, data: Path, say: Callable[[str], object]
) -> str:
    if not is_compiled():
        say("compiling the detector for this machine: some seconds, this once")
        compile_kernels()
    say(f"simulating {TRAINING_DAYS} healthy days to learn from")
    rows = write_training_data(scenario, data)
    say(f"training a first model on {rows:,} rows")
    return train_champion(settings, data)


def _write_config(folder: Path, broker: str) -> Path:
    if not _SCHEMA.exists():
        raise UsageError(f"no {_SCHEMA}: run the demo from a clone of the repository")
    config = folder / "sensorwatch.toml"
    # A JSON string of printable text is a TOML string.
    quoted = {
        "broker": json.dumps(broker),
        "schema": json.dumps(str(_SCHEMA), ensure_ascii=False),
        "registry": json.dumps(str(folder / "registry"), ensure_ascii=False),
    }
    config.write_text(_CONFIG.format(**quoted), encoding="utf-8")
    return config
