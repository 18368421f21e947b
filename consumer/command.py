"""The command `sensorwatch consume`."""

import re
import sys
from typing import Annotated

import typer

from sensorwatch.common.errors import UsageError
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.logs import configure
from sensorwatch.consumer.stopping import StopRequest

_PARTITION_OFFSET = re.compile(r"(\d+):(\d+)", re.ASCII)


def consume(
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes; they share the partitions.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="The consumer group.")] = None,
    topic: Annotated[str | None, typer.Option(help="The input topic of readings.")] = None,
    http_port: Annotated[
        int | None,
        typer.Option(
            help="Port of /metrics, /livez and /readyz; worker n uses this number plus n."
        ),
    ] = None,
    accept_rejections_until: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARTITION:OFFSET",
            help="Rejections below this offset do not trip the breaker; can be repeated.",
        ),
    ] = None,
    worker: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Score the input topic, exactly once, until SIGTERM or Ctrl-C."""
    from sensorwatch.common.runtime.settings import load_settings

    stopping = StopRequest()
    if worker is not None:
        stopping.stop_with_supervisor()
    settings = load_settings(
        config,
        overrides={
            "consumer.workers": workers,
            "consumer.group": group,
            "consumer.http_port": http_port,
            "topics.readings": topic,
        },
    ).settings
    configure(settings.log.format, settings.log.level)
    accepted_until = dict(_parse_partition_offset(text) for text in accept_rejections_until or [])
    if settings.consumer.workers > 1 and worker is None:
        from sensorwatch.consumer.supervisor import supervise

        raise typer.Exit(supervise(settings.consumer.workers, _worker_arguments()))
    # This import takes a second, so it is made only here: `--help` does not need it.
    from sensorwatch.consumer.worker import run_worker

    run_worker(settings, worker, accepted_until, stopping)


def _parse_partition_offset(text: str) -> tuple[int, int]:
    match = _PARTITION_OFFSET.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--accept-rejections-until {text!r}: expected PARTITION:OFFSET, for example 2:1500"
        )
    return int(match[1]), int(match[2])


def _worker_arguments() -> list[str]:
    """Return the options of this process, which the supervisor passes to its workers."""
    arguments = sys.argv[1:]
    return arguments[1:] if arguments[:1] == ["consume"] else arguments
