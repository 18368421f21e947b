"""The `sensorwatch` command: the table of its commands, each imported only when it is called."""

import platform
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from sensorwatch.common.runtime.command_line import typer_app
from sensorwatch.common.runtime.printing import print_line


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: where it is written, and what `--help` says of it."""

    target: str
    """`module:function`, or `module:app` for a command with commands of its own."""
    help: str
    panel: str


ROW, MODEL, SETUP = "The way of a row", "Models", "Set up and look"
COMMANDS: dict[str, Entry] = {
    "demo": Entry(
        "sensorwatch.commands.demo_command:demo",
        "See the whole way of a row, live, in a minute.",
        ROW,
    ),
    "produce": Entry(
        "sensorwatch.producer.produce_command:produce",
        "Simulate sensors with faults, or replay a file.",
        ROW,
    ),
    "consume": Entry(
        "sensorwatch.consumer.command:consume",
        "Score the readings' topic, exactly once, into events.",
        ROW,
    ),
    "serve": Entry("sensorwatch.api.serve_command:serve", "Score rows over HTTP.", ROW),
    "tail": Entry("sensorwatch.commands.tail_command:tail", "Follow the anomaly events.", ROW),
    "ledger": Entry(
        "sensorwatch.commands.ledger_command:app",
        "Show the account of every record, and verify it.",
        ROW,
    ),
    "state": Entry(
        "sensorwatch.commands.state_command:app",
        "Show the sensors' memory, or let it begin anew.",
        ROW,
    ),
    "train": Entry(
        "sensorwatch.trainer.train_command:train",
        "Fit a model and register it as a version.",
        MODEL,
    ),
    "evaluate": Entry(
        "sensorwatch.trainer.evaluate_command:evaluate", "Measure a version, or gate on it.", MODEL
    ),
    "backtest": Entry(
        "sensorwatch.trainer.backtest_command:backtest",
        "Score a file as the consumer would.",
        MODEL,
    ),
    "models": Entry(
        "sensorwatch.commands.models_command:app",
        "List, show, promote, roll back, verify, audit.",
        MODEL,
    ),
    "topics": Entry(
        "sensorwatch.commands.topics_command:app", "Create and check the topics.", SETUP
    ),
    "schema": Entry(
        "sensorwatch.commands.schema_command:app",
        "Write a schema from a file, or try one on it.",
        SETUP,
    ),
    "warmup": Entry(
        "sensorwatch.commands.warmup_command:warmup",
        "Compile ahead, so that the first start is quick.",
        SETUP,
    ),
    "config": Entry(
        "sensorwatch.commands.config_command:app",
        "Check the configuration and show its sources.",
        SETUP,
    ),
}


class LazyGroup(TyperGroup):
    """Swaps the stub that `--help` shows for the command itself when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments begin with, and import it."""
        name, _stub, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load(name), rest


def load(name: str) -> Any:
    """Import a command and return it as typer's parser."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    target = getattr(import_module(module), attribute)
    if isinstance(target, typer.Typer):
        target.info.name = name
        return get_group(target)
    single = typer_app()
    single.command(name)(target)
    return get_command(single)


def _show_version(asked: bool) -> None:
    if asked:
        from sensorwatch.common.runtime.build import project_version

        print_line(f"sensorwatch {project_version()} (Python {platform.python_version()})")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Find anomalies in sensor streams on Kafka, exactly once, and say why."""


def build_app() -> typer.Typer:
    """Put the app together: a stub for each command of the table."""
    app = typer_app(cls=LazyGroup, no_args_is_help=True)
    app.callback()(_root)
    for name, entry in COMMANDS.items():
        app.command(name, help=entry.help, rich_help_panel=entry.panel)(_stub)
    return app


def _stub() -> None:
    raise AssertionError("LazyGroup calls the command, never its stub")
