"""The command line `python -m trainer train | evaluate | backtest`."""

import sys

from sensorwatch.common.runtime.command_line import run, typer_app
from sensorwatch.trainer.backtest_command import backtest
from sensorwatch.trainer.evaluate_command import evaluate
from sensorwatch.trainer.train_command import train


def main() -> int:
    """Run the command line and return its exit code."""
    app = typer_app(no_args_is_help=True)
    for command in (train, evaluate, backtest):
        app.command()(command)
    return run(app, name="python -m trainer")


if __name__ == "__main__":
    sys.exit(main())
