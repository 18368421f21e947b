"""The command `sensorwatch episodes`: list episodes, and show one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.commands.console_table import print_table
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line, print_note
from sensorwatch.common.runtime.setting_choices import SeverityChoice
from sensorwatch.common.runtime.time_option import parse_time_option

if TYPE_CHECKING:
    from sensorwatch.common.alarms.episode_book import EpisodeBook
    from sensorwatch.common.alarms.episode_states import EpisodeState
    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.common.verdicts.verdict import VerdictRecord
    from sensorwatch.episodes.episode_search import EpisodeReader
    from sensorwatch.episodes.episode_view import EpisodeView

app = typer_app(help="List episodes, and show one of them.", no_args_is_help=True)

TopicOption = Annotated[
    str | None,
    typer.Option(
        "--topic",
        help="Topic of the events. Default: the setting topics.anomalies.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_episodes(
    severity: Annotated[
        SeverityChoice, typer.Option(help="Lowest severity to list.")
    ] = SeverityChoice.WARNING,
    sensor: Annotated[str, typer.Option(help="Shell pattern of the sensor ids to list.")] = "*",
    since: Annotated[
        str | None,
        typer.Option(
            help="List only episodes with an event at or after this event time, RFC 3339.",
            show_default=False,
        ),
    ] = None,
    open_only: Annotated[bool, typer.Option("--open", help="List only open episodes.")] = False,
    maximum: Annotated[
        int, typer.Option("--max", min=1, help="List at most this number of episodes.")
    ] = 100,
    as_json: JsonOption = False,
    topic: TopicOption = None,
    config: ConfigOption = None,
) -> None:
    """List the episodes that the anomaly topic still has: open and severe ones first."""
    from sensorwatch.episodes.episode_search import EpisodeSelection, selected_episodes
    from sensorwatch.episodes.episode_text import COLUMNS, list_cells

    settings = _settings(config, topic)
    selection = EpisodeSelection(
        severity.value,
        sensor,
        None if since is None else parse_time_option("--since", since),
        open_only,
    )
    episodes = selected_episodes(_read_book(settings), selection)
    if as_json:
        for episode in episodes[:maximum]:
            print_json(_plain(episode))
        return
    if not episodes:
        print_note(
            f'no episode in the topic "{settings.topics.anomalies}" is selected; --severity info '
            "also selects episodes below warning"
        )
        return
    print_table(COLUMNS, map(list_cells, episodes[:maximum]), unbroken_column="id")
    if len(episodes) > maximum:
        print_note(f"{len(episodes) - maximum} more episodes: raise --max, or use --since")


@app.command("show")
def show_episode(
    episode_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The id of an episode, the begin of its id, or the id of one of its events.",
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", help="Write the drawing to this file, .svg or .html.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    topic: TopicOption = None,
    config: ConfigOption = None,
) -> None:
    """Show an episode: its sentence, timeline, incident, and the input rows around it."""
    from sensorwatch.common.runtime.console import SafeConsole
    from sensorwatch.common.verdicts.verdict_topic import read_verdicts
    from sensorwatch.episodes.episode_drawing import write_drawing
    from sensorwatch.episodes.episode_search import read_episode_events
    from sensorwatch.episodes.episode_text import print_view

    settings = _settings(config, topic)
    reader = read_episode_events(settings.kafka, settings.topics.anomalies, episode_id)
    episode = reader.find()
    verdict = read_verdicts(settings.kafka, settings.verdicts_topic).get(episode.id)
    if as_json:
        plain_verdict = None if verdict is None else verdict.to_plain()
        print_json({**_plain(episode), "verdict": plain_verdict})
    if as_json and plot is None:
        return
    view = _view(settings, reader, episode, verdict)
    if not as_json:
        print_view(view, SafeConsole())
    if plot is not None:
        write_drawing(view, plot)
        print_line(f"drawn: {plot}")


def _settings(config: Path | None, topic: str | None) -> Settings:
    from sensorwatch.common.runtime.logs import configure
    from sensorwatch.common.runtime.settings import load_settings

    settings = load_settings(config, overrides={"topics.anomalies": topic}).settings
    configure(settings.log.format, settings.log.level)
    return settings


def _read_book(settings: Settings) -> EpisodeBook:
    from sensorwatch.episodes.episode_search import read_book

    return read_book(settings.kafka, settings.topics.anomalies)


def _view(
    settings: Settings,
    reader: EpisodeReader,
    episode: EpisodeState,
    verdict: VerdictRecord | None,
) -> EpisodeView:
    from sensorwatch.common.errors import SensorwatchError
    from sensorwatch.common.registry.store import Registry
    from sensorwatch.common.rows.schema import schema_from_plain
    from sensorwatch.episodes.episode_search import events_of_episode, read_events
    from sensorwatch.episodes.episode_view import build_view
    from sensorwatch.episodes.input_rows import SensorRows, read_rows_around

    events = reader.events(episode)
    if events is None:
        topic_events = read_events(settings.kafka, settings.topics.anomalies)
        events = events_of_episode(topic_events, episode.id)
    rows: SensorRows | str
    signal_names: list[str] = []
    try:
        manifest = Registry(settings.registry.path).manifest(
            settings.registry.model, episode.model_version
        )
        schema = schema_from_plain(manifest.row_schema)
    except SensorwatchError as error:
        rows = f"the schema of the version that scored the rows cannot be read: {error}"
    else:
        signal_names = [signal.name for signal in schema.signals]
        rows = read_rows_around(settings.kafka, episode, schema)
    return build_view(reader.book, episode, events, rows, signal_names, verdict)


def _plain(episode: EpisodeState) -> dict[str, Any]:
    """Return an episode as plain JSON values."""
    from msgspec import to_builtins
    from msgspec.structs import asdict

    values = to_builtins(episode)
    values["signals"] = [asdict(signal) for signal in episode.signals]
    return {**values, "is_open": episode.is_open}
