"""The `sensorwatch` command line, which imports each command only when it is called."""

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
class CommandEntry:
    """The function that implements a command, and the command's line in `--help`."""

    target: str
    """Import path `module:function`, or `module:app` for a command with subcommands."""
    help: str
    panel: str


ROW_PANEL, MODEL_PANEL, SETUP_PANEL = "Data", "Models", "Setup"
COMMANDS: dict[str, CommandEntry] = {
    "demo": CommandEntry(
        "sensorwatch.commands.demo_command:demo",
        "Watch rows on their way from sensors to events.",
        ROW_PANEL,
    ),
    "produce": CommandEntry(
        "sensorwatch.producer.produce_command:produce",
        "Simulate sensors with faults, or replay a file.",
        ROW_PANEL,
    ),
    "consume": CommandEntry(
        "sensorwatch.consumer.command:consume",
        "Score readings and publish events, exactly once.",
        ROW_PANEL,
    ),
    "serve": CommandEntry(
        "sensorwatch.api.serve_command:serve", "Score rows over HTTP.", ROW_PANEL
    ),
    "tail": CommandEntry(
        "sensorwatch.commands.tail_command:tail", "Follow the anomaly events.", ROW_PANEL
    ),
    "notify": CommandEntry(
        "sensorwatch.notify.command:notify",
        "Send incidents to Alertmanager and webhooks.",
        ROW_PANEL,
    ),
    "episodes": CommandEntry(
        "sensorwatch.commands.episodes_command:app",
        "List alarm episodes, and show one with its rows.",
        ROW_PANEL,
    ),
    "verdict": CommandEntry(
        "sensorwatch.commands.verdict_command:verdict",
        "Say whether an alarm was right, and list the verdicts.",
        ROW_PANEL,
    ),
    "sensors": CommandEntry(
        "sensorwatch.commands.sensors_command:sensors",
        "List the sensors, the worst first.",
        ROW_PANEL,
    ),
    "dlq": CommandEntry(
        "sensorwatch.commands.dlq_command:app",
        "List rejected records, show one, and replay them.",
        ROW_PANEL,
    ),
    "ledger": CommandEntry(
        "sensorwatch.commands.ledger_command:app",
        "Show the accounts of all records, and verify them.",
        ROW_PANEL,
    ),
    "state": CommandEntry(
        "sensorwatch.commands.state_command:app",
        "Show the memory of the sensors, or reset it.",
        ROW_PANEL,
    ),
    "train": CommandEntry(
        "sensorwatch.trainer.train_command:train",
        "Fit a model and register it as a version.",
        MODEL_PANEL,
    ),
    "evaluate": CommandEntry(
        "sensorwatch.trainer.evaluate_command:evaluate",
        "Measure a version, and check the measurements.",
        MODEL_PANEL,
    ),
    "backtest": CommandEntry(
        "sensorwatch.trainer.backtest_command:backtest",
        "Score a file as the consumer would.",
        MODEL_PANEL,
    ),
    "alarms": CommandEntry(
        "sensorwatch.commands.alarms_command:app",
        "Plan budgets of false alarms, and report which alarms were right.",
        MODEL_PANEL,
    ),
    "models": CommandEntry(
        "sensorwatch.commands.models_command:app",
        "List, show, promote, roll back, verify, audit.",
        MODEL_PANEL,
    ),
    "rules": CommandEntry(
        "sensorwatch.commands.rules_command:app",
        "Check, try, apply and show the rules of the alarms.",
        MODEL_PANEL,
    ),
    "topics": CommandEntry(
        "sensorwatch.commands.topics_command:app", "Create and check the topics.", SETUP_PANEL
    ),
    "schema": CommandEntry(
        "sensorwatch.commands.schema_command:app",
        "Infer a schema from a file, or check a file.",
        SETUP_PANEL,
    ),
    "warmup": CommandEntry(
        "sensorwatch.commands.warmup_command:warmup",
        "Compile the kernels, so that the first start is fast.",
        SETUP_PANEL,
    ),
    "doctor": CommandEntry(
        "sensorwatch.commands.doctor_command:doctor",
        "Check everything in one go, and say what to do.",
        SETUP_PANEL,
    ),
    "config": CommandEntry(
        "sensorwatch.commands.config_command:app",
        "Check the configuration and show its sources.",
        SETUP_PANEL,
    ),
}


class LazyGroup(TyperGroup):
    """A group of commands that imports the module of a command only when the command is called.

    `--help` shows a stub for each command.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command whose name is the first argument."""
        name, _stub, arguments = super().resolve_command(ctx, args)
        return name, None if name is None else load_command(name), arguments


def load_command(name: str) -> Any:
    """Import a command, and return the parser that typer builds for it."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    target = getattr(import_module(module), attribute)
    if isinstance(target, typer.Typer):
        target.info.name = name
        return get_group(target)
    single_command_app = typer_app()
    single_command_app.command(name)(target)
    return get_command(single_command_app)


def _print_version(requested: bool) -> None:
    if requested:
        from sensorwatch.common.runtime.build import project_version

        print_line(f"sensorwatch {project_version()} (Python {platform.python_version()})")
        raise typer.Exit


def _global_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Detect anomalies in sensor streams on Kafka, exactly once, and explain them."""


def build_app() -> typer.Typer:
    """Return the command-line app, with a stub for each command of `COMMANDS`."""
    app = typer_app(cls=LazyGroup, no_args_is_help=True)
    app.callback()(_global_options)
    for name, command in COMMANDS.items():
        app.command(name, help=command.help, rich_help_panel=command.panel)(_stub_command)
    return app


def _stub_command() -> None:
    raise AssertionError("LazyGroup must replace this stub by the command")
