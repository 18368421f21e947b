"""Run or check every code block of README and docs; a block's marker says which check."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest

from sensorwatch.api.app import create_app
from sensorwatch.api.inference_protocol import InferRequest
from sensorwatch.common.kafka.ledger_text import ledger_record
from sensorwatch.common.policy.declarations import parse_policy
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import flat_values, known_keys, load_settings
from tests.brokers.child_processes import ChildProcess, wait_until
from tests.brokers.ports import free_port
from tests.docs.documented_commands import commands_of, problem_of
from tests.docs.markdown_pages import README, ROOT, Block, all_blocks

LANGUAGES = {"text", "toml", "json", "sh", "python"}
BROKER, DOCKER = "needs a broker", "needs a Docker engine"
REASONS_NOT_TO_RUN = {
    (README, "make demo"): "creates an environment; tests/demo runs the demo",
    (README, "sensorwatch schema infer history.csv --out schemas/mine.toml"): BROKER,
    ("docs/events.md", "sensorwatch ledger show"): BROKER,
    ("docs/state.md", "sensorwatch state reset"): BROKER,
    ("docs/models.md", "sensorwatch evaluate --data history.csv"): "the README's commands evaluate",
    ("docs/models.md", "sensorwatch models list"): "needs versions with reports, and a broker",
    (
        "docs/verdicts.md",
        'sensorwatch verdict sensors-2-1039 true --note "bearing replaced"',
    ): BROKER,
    ("docs/verdicts.md", "sensorwatch alarms report --since 30d"): BROKER,
    ("docs/episodes.md", "sensorwatch episodes list"): BROKER,
    ("docs/episodes.md", "sensorwatch episodes show sensors-2-1039"): BROKER,
    ("docs/dead-letters.md", "sensorwatch dlq list --since 1d"): BROKER,
    ("docs/dead-letters.md", "sensorwatch dlq show 0:7"): BROKER,
    (
        "docs/dead-letters.md",
        "sensorwatch dlq replay --where reason=missing_field --dry-run",
    ): BROKER,
    ("docs/doctor.md", "sensorwatch doctor"): BROKER,
    ("docs/notify.md", "sensorwatch notify --dry-run --since 7d"): BROKER,
    ("docs/notify.md", "sensorwatch notify"): BROKER,
    ("docs/deployment.md", "sensorwatch config check"): BROKER,
    ("docs/deployment.md", "sensorwatch consume --workers 2"): BROKER,
    ("docs/deployment.md", "docker compose up --build"): DOCKER,
}
"""Code blocks that are not run: (page, first line) and the reason. The tests only check that the
commands and options of these blocks exist."""
RUNBOOKS = "docs/runbooks/"
"""Pages whose code blocks are not run, because they need a broker and running services."""
SERVICE_BLOCK = "python -m producer --out data/raw/sample.csv"
SMALL_DATA = {"python -m producer": "--rows 4000"}
"""Maps the start of a command to options that make the command fast."""
SMALL_MODEL = {"SENSORWATCH__TRAINER__TREES": "20"}
"""Settings with which training and evaluation take less time."""
SERVICE_SECONDS, COMMAND_SECONDS = 120, 600
MINIMAL_SCHEMA = '[[signals]]\nname = "x1"\n'


def with_blocks(blocks: list[Block]) -> pytest.MarkDecorator:
    """Parametrize a test with code blocks; page and line of a block are its test id."""
    return pytest.mark.parametrize("block", blocks, ids=[block.name for block in blocks])


def is_run(block: Block) -> bool:
    """Return True if `test_a_shell_block_runs` runs the block."""
    is_excluded = (block.page, block.first_line) in REASONS_NOT_TO_RUN
    is_runbook = block.page.startswith(RUNBOOKS)
    return not (is_excluded or is_runbook or block.first_line == SERVICE_BLOCK)


@with_blocks(all_blocks())
def test_a_block_names_its_language(block: Block) -> None:
    assert block.language in LANGUAGES


def test_every_exception_is_a_block_of_its_page() -> None:
    assert set(REASONS_NOT_TO_RUN) <= {(block.page, block.first_line) for block in all_blocks("sh")}


@with_blocks(all_blocks("toml"))
def test_toml_is_a_schema_or_the_settings(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "block.toml"
    file.write_text(block.text)
    match block.marker:
        case "schema: a whole file":
            load_schema(file)
        case "schema: a part":
            file.write_text(block.text + "\n" + MINIMAL_SCHEMA)
            load_schema(file)
        case "policy":
            policy = parse_policy(block.text.encode(), block.name).build(datetime.now(UTC))
            assert policy.rules or policy.silences
        case "settings":
            load_settings(file, environ={})
        case "settings: every key with its default":
            check_all_defaults(file)
        case _:
            pytest.fail(f"{block.name}: no marker says what the block is")


def check_all_defaults(file: Path) -> None:
    """Check that a settings file sets every key to its default value."""
    loaded_settings = load_settings(file, environ={})
    set_keys = {key for key, origin in loaded_settings.origins.items() if origin != "default"}
    assert known_keys().keys() <= set_keys
    assert flat_values(loaded_settings.settings) == flat_values(Settings())


@with_blocks(all_blocks("json"))
def test_json_is_valid_by_the_schema_that_its_marker_names(block: Block) -> None:
    kind, _, name = block.marker.partition(": ")
    assert kind == "json", "no marker names the schema"
    value = json.loads(block.text)
    if name == "ledger record":
        ledger_record(block.text.encode())
    elif name == "inference request":
        msgspec.convert(value, InferRequest)
    elif name.startswith("openapi "):
        components = create_app().openapi()["components"]
        reference = {"$ref": f"#/components/schemas/{name.split()[1]}", "components": components}
        jsonschema.Draft202012Validator(reference).validate(value)
    else:
        schema = json.loads((ROOT / name).read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(value)


@with_blocks(all_blocks("sh"))
def test_the_commands_of_a_block_exist(block: Block) -> None:
    problems = {command: problem_of(command) for command in commands_of(block.text)}
    assert not {command: problem for command, problem in problems.items() if problem}


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """A folder in which the README's commands were run, and the address of the API they started."""

    path: Path
    address: str

    def run(self, script: str) -> str:
        """Run a shell script and return its output; if a command fails, the test fails."""
        script = script.replace("localhost:8000", self.address)
        completed = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.path,
            env=shell_environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert completed.returncode == 0, f"{script}\n{completed.stdout}{completed.stderr}"
        return completed.stdout


def shell_environment() -> dict[str, str]:
    """Return environment variables with which commands use this checkout of the repository."""
    variables = {name: text for name, text in os.environ.items() if "SENSORWATCH__" not in name}
    path = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    return variables | SMALL_MODEL | {"PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkingFolder]:
    """Run the README's commands that need no Kafka on small data; keep the API running."""
    path, port = tmp_path_factory.mktemp("readme"), free_port()
    working_folder = WorkingFolder(path, f"127.0.0.1:{port}")
    (path / "schemas").mkdir()
    default_schema = (ROOT / "schemas/default.toml").read_text(encoding="utf-8")
    (path / "schemas/default.toml").write_text(default_schema)
    (block,) = (block for block in all_blocks("sh") if block.first_line == SERVICE_BLOCK)
    *commands, serve_command = commands_of(block.text)
    for command in commands:
        working_folder.run(with_small_data(command))
    (path / "history.csv").write_text((path / "data/raw/sample.csv").read_text())
    arguments = [sys.executable, "-m", *serve_command.split(), "--port", str(port)]
    log = path / "api.log"
    environment = shell_environment()
    with ChildProcess(arguments, log=log, environment=environment, folder=path) as program:
        wait_until(
            lambda: "Uvicorn running" in log.read_text() or not program.running,
            deadline=SERVICE_SECONDS,
            what="the API to start",
            every=0.1,
        )
        yield working_folder


def with_small_data(command: str) -> str:
    """Return the command, with the options of SMALL_DATA added."""
    command_text = command.partition("  #")[0]
    added_options = [
        options for start, options in SMALL_DATA.items() if command_text.startswith(start)
    ]
    return " ".join([command_text.strip(), *added_options])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@with_blocks([block for block in all_blocks("sh") if is_run(block)])
def test_a_shell_block_runs(block: Block, folder: WorkingFolder) -> None:
    output = folder.run(block.text)
    if block.first_line.startswith("curl"):
        assert json.loads(output)["scored"] == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@with_blocks(all_blocks("python"))
def test_a_python_block_runs(block: Block, folder: WorkingFolder) -> None:
    script = folder.path / "block.py"
    script.write_text(block.text)
    folder.run(f"python {script.name}")
