"""`sensorwatch episodes` lists the episodes of a topic, and shows one with its input rows."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.command_runner import run_in_process
from tests.episodes.episode_folder import EPISODE_ID, FIRST_ANOMALY, episode_folder

pytestmark = pytest.mark.embedded


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with episode_folder(tmp_path, monkeypatch) as folder:
        yield folder


def test_the_list_has_the_episode_with_its_state(folder: Path) -> None:
    result = run_in_process("episodes", "list", "--severity", "info", folder=folder)

    assert result.code == 0, result.err
    header, line = result.out.splitlines()
    cells = dict(zip(header.split("\t"), line.split("\t"), strict=True))
    assert cells["id"] == EPISODE_ID
    assert (cells["begin"], cells["sensor"]) == ("2025-01-01 00:40:00 UTC", "pump-7")
    assert (cells["state"], cells["rows"]) == ("closed after 4 min", "5")
    assert cells["reason"]


@pytest.mark.parametrize(
    "options",
    [
        ("--sensor", "valve-*"),
        ("--open",),
        ("--since", "2025-01-01T00:46:00Z"),
    ],
)
def test_the_list_says_if_no_episode_is_selected(folder: Path, options: tuple[str, ...]) -> None:
    result = run_in_process("episodes", "list", "--severity", "info", *options, folder=folder)

    assert (result.code, result.out) == (0, "")
    assert 'no episode in the topic "anomalies" is selected' in result.err


@pytest.mark.parametrize(
    "text", [EPISODE_ID, "sensors-0-4", f"sensors-0-{FIRST_ANOMALY + 2}", f"{EPISODE_ID}-closed"]
)
def test_an_episode_is_found_by_its_id_or_by_an_event(folder: Path, text: str) -> None:
    result = run_in_process("episodes", "show", text, "--json", folder=folder)

    assert result.code == 0, result.err
    episode = json.loads(result.out)
    assert (episode["id"], episode["rows"], episode["is_open"]) == (EPISODE_ID, 5, False)


def test_show_has_the_timeline_and_a_plot_of_the_input_rows(folder: Path) -> None:
    result = run_in_process("episodes", "show", EPISODE_ID, folder=folder)

    assert result.code == 0, result.err
    assert "closed after 4 min" in result.out
    assert "opened" in result.out
    lines = result.out.splitlines()
    plot_line = next(number for number, line in enumerate(lines) if line.startswith("x1  0 to 9"))
    assert ", expected " in lines[plot_line]
    # 80 rows are drawn in 60 groups, so the anomalous rows 40 to 44 are the groups 30 to 33.
    assert lines[plot_line + 1].strip() == 30 * "▁" + 4 * "█" + 26 * "▁"
    assert lines[plot_line + 2] == "  " + 30 * " " + "^^^^"


def test_the_plot_is_written_as_svg_and_as_html(folder: Path) -> None:
    for name in ("episode.svg", "episode.html"):
        result = run_in_process("episodes", "show", EPISODE_ID, "--plot", name, folder=folder)
        assert result.code == 0, result.err
    svg = (folder / "episode.svg").read_text()
    html = (folder / "episode.html").read_text()

    assert svg.startswith("<svg")
    assert svg.count("<polyline") == 3
    assert "pump-7" in svg
    assert svg.strip() in html
    assert "<script" not in html

    result = run_in_process("episodes", "show", EPISODE_ID, "--plot", "a.png", folder=folder)
    assert result.code == 2
    assert "does not end with .svg or .html" in result.err


def test_an_unknown_id_is_refused_with_a_remedy(folder: Path) -> None:
    result = run_in_process("episodes", "show", "sensors-7-1", folder=folder)

    assert result.code == 2
    assert 'no episode with the id "sensors-7-1"' in result.err
    assert "episodes list" in result.err


def test_without_the_input_rows_the_events_are_drawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENSORWATCH__REGISTRY__PATH", str(folder / "other"))

    result = run_in_process("episodes", "show", EPISODE_ID, folder=folder)

    assert result.code == 0, result.err
    assert "the schema of the version that scored the rows cannot be read" in result.out
    assert "The plot shows the events only" in result.out
    assert "^^^^^" in result.out
