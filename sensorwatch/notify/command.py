"""The command `sensorwatch notify`."""

from typing import Annotated

import typer

from sensorwatch.common.errors import UsageError
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.logs import configure
from sensorwatch.common.runtime.setting_choices import SeverityChoice
from sensorwatch.consumer.stopping import StopRequest


def notify(
    config: ConfigOption = None,
    severity: Annotated[
        SeverityChoice | None,
        typer.Option(help="Lowest severity to send, if there are no routes.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would have been sent, and send nothing.")
    ] = False,
    since: Annotated[
        str, typer.Option(help="With --dry-run: the time to look back, such as 24h or 7d.")
    ] = "7d",
    http_port: Annotated[
        int | None, typer.Option(help="Port of /metrics, /livez and /readyz.")
    ] = None,
) -> None:
    """Send incidents to Alertmanager and webhooks until SIGTERM or Ctrl-C."""
    from sensorwatch.common.runtime.settings import load_settings

    stopping = None if dry_run else StopRequest()
    settings = load_settings(
        config,
        overrides={
            "notify.severity": None if severity is None else severity.value,
            "notify.http_port": http_port,
        },
    ).settings
    configure(settings.log.format, settings.log.level)
    if stopping is None:
        from sensorwatch.notify.dry_run import print_messages

        print_messages(settings, _since_seconds(since), since)
        return
    from sensorwatch.notify.run import run_notifier

    run_notifier(settings, stopping)


def _since_seconds(text: str) -> int:
    from sensorwatch.common.rows.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--since {text!r}: {error}") from error
