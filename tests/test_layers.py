"""The direction of imports is the design's: never sideways, never upward, no circles."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "sensorwatch"
LINKED = ("api", "common", "consumer", "producer", "trainer")
"""The folders at the top that are links in the package."""
BASE = {f"{PACKAGE}.common.{name}" for name in ("errors", "escaping", "kernels", "pydantic_errors")}
"""The modules that every room may use."""


def _common(*names: str) -> set[str]:
    return {f"{PACKAGE}.common.{name}" for name in names}


MODEL = _common("rows", "row_executor") | BASE
SCORING = MODEL | _common("model")
LEDGER = SCORING | _common("scoring")
COMMON = LEDGER | _common(
    "kafka", "ledger", "parquet", "registry", "runtime", "simulation", "tables"
)
MAY_IMPORT = {
    f"{PACKAGE}.common.errors": set[str](),
    f"{PACKAGE}.common.escaping": set[str](),
    f"{PACKAGE}.common.kernel_folder": set[str](),
    f"{PACKAGE}.common.kernel_cache": _common("kernel_folder"),
    f"{PACKAGE}.common.kernels": _common("kernel_cache"),
    f"{PACKAGE}.common.pydantic_errors": set[str](),
    f"{PACKAGE}.common.row_executor": set[str](),
    f"{PACKAGE}.common.rows": BASE | _common("row_executor"),
    f"{PACKAGE}.common.parquet": BASE | _common("rows"),
    f"{PACKAGE}.common.tables": BASE | _common("rows", "parquet"),
    f"{PACKAGE}.common.simulation": BASE | _common("rows"),
    f"{PACKAGE}.common.model": MODEL,
    f"{PACKAGE}.common.scoring": SCORING,
    f"{PACKAGE}.common.ledger": LEDGER,
    f"{PACKAGE}.common.registry": LEDGER,
    f"{PACKAGE}.common.kafka": LEDGER | _common("ledger"),
    f"{PACKAGE}.common.runtime": LEDGER | _common("kernel_cache", "kernel_folder"),
    **{f"{PACKAGE}.{part}": COMMON for part in LINKED if part != "common"},
    PACKAGE: COMMON
    | _common("kernel_cache")
    | {f"{PACKAGE}.{part}" for part in LINKED if part != "common"},
    "benchmarks": COMMON | {f"{PACKAGE}.trainer"},
}
"""The rooms that each room may import."""
PURE_ROOMS = tuple(
    f"{PACKAGE}.common.{room}" for room in ("rows", "model", "scoring", "ledger", "simulation")
)
LIBRARIES_WITH_IO = {
    *("aiohttp", "confluent_kafka", "fastapi", "fsspec", "httpx", "joblib", "pickle"),
    *("prometheus_client", "random", "requests", "rich", "shelve", "socket", "sqlite3"),
    *("subprocess", "threading", "time", "typer", "uvicorn"),
}
"""The libraries that no pure room may use."""
EXECUTES_ON_LOAD = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "sklearn"}
ROOMS_OF_SERVICES = (
    *PURE_ROOMS,
    *(f"{PACKAGE}.{room}" for room in ("api", "consumer", "common.kafka", "common.runtime")),
)


def sources() -> list[Path]:
    """Return every source file of the package and the benchmarks once, links not followed."""
    folders = (*LINKED, PACKAGE, "benchmarks")
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the dotted name under which a source file is imported."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    return f"{PACKAGE}.{name}" if name.split(".")[0] in LINKED else name


def folder_of(room: str) -> Path:
    return ROOT / room.removeprefix(f"{PACKAGE}.").replace(".", "/")


def imported(module: str, text: str) -> set[str]:
    """Return the dotted name of every module that `text` imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from sensorwatch.common import rows` names a room.
            names |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return names


def room_of(module: str) -> str | None:
    """Return the room of a module; None for libraries and for `sensorwatch.common` itself."""
    parts = module.split(".")
    for length in (3, 2, 1):
        room = ".".join(parts[:length])
        if len(parts) >= length and room in MAY_IMPORT and room != PACKAGE:
            return room
    in_command = parts[0] == PACKAGE and parts[1:2] != ["common"]
    return PACKAGE if in_command else None


def breaches(module: str, text: str) -> set[str]:
    """Return the rooms that a module imports and may not import."""
    own = room_of(module)
    if own is None:
        return set()
    rooms = {room for name in imported(module, text) if (room := room_of(name)) is not None}
    # `from sensorwatch import Detector` reads the public names, which any benchmark may do.
    return rooms - MAY_IMPORT[own] - {own}


def test_only_the_benchmark_of_speed_takes_anything_from_the_tests() -> None:
    """The benchmark needs their real Kafka; installed code must not depend on tests."""
    actual = {
        module
        for path in sources()
        if "tests" in libraries(module := module_of(path), path.read_text(encoding="utf-8"))
    }

    assert {module.rpartition(".")[0] for module in actual} <= {"benchmarks.speed"}


def libraries(module: str, text: str) -> set[str]:
    return {name.split(".")[0] for name in imported(module, text)}


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_point_downward(path: Path) -> None:
    assert breaches(module_of(path), path.read_text(encoding="utf-8")) == set()


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {room for path in sources() if (room := room_of(module_of(path))) is not None}

    assert rooms == set(MAY_IMPORT)


def test_the_order_has_no_circle() -> None:
    placed: set[str] = set()
    while placed != set(MAY_IMPORT):
        ready = {room for room in set(MAY_IMPORT) - placed if MAY_IMPORT[room] <= placed}
        assert ready, f"a circle among {set(MAY_IMPORT) - placed}"
        placed |= ready


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_touches_nothing_of_the_world(room: str) -> None:
    for path in folder_of(room).rglob("*.py"):
        actual = libraries(module_of(path), path.read_text(encoding="utf-8"))
        assert actual & LIBRARIES_WITH_IO == set(), path.name


@pytest.mark.parametrize("room", ROOMS_OF_SERVICES)
def test_nothing_that_serves_imports_what_executes_on_load(room: str) -> None:
    for path in folder_of(room).rglob("*.py"):
        actual = libraries(module_of(path), path.read_text(encoding="utf-8"))
        assert actual & EXECUTES_ON_LOAD == set(), path.name


@pytest.mark.parametrize(
    ("module", "text", "rooms"),
    [
        ("common.rows.fields", "import sensorwatch.common.model.forest", {"common.model"}),
        ("common.rows.fields", "from sensorwatch.common import scoring", {"common.scoring"}),
        ("common.model.forest", "from ..registry import store", {"common.registry"}),
        ("common.model.forest", "import sensorwatch.common.scoring.recall", {"common.scoring"}),
        (
            "common.kafka.topics",
            "from sensorwatch.common.registry.store import x",
            {"common.registry"},
        ),
        ("common.registry.store", "import sensorwatch.common.kafka.topics", {"common.kafka"}),
        (
            "common.model.plan",
            "def f():\n    import sensorwatch.common.runtime",
            {"common.runtime"},
        ),
        ("consumer.loop", "from sensorwatch.producer.sink import Sink", {"producer"}),
        ("common.errors", "import sensorwatch.consumer.loop", {"consumer"}),
        ("common.kafka.topics", "from sensorwatch.common.rows.readings import Readings", set()),
        ("cli", "import sensorwatch.consumer.loop, sensorwatch.trainer.training", set()),
        ("consumer.loop", "from sensorwatch.common.registry.champion import Champion", set()),
    ],
)
def test_an_import_in_the_wrong_direction_is_seen(module: str, text: str, rooms: set[str]) -> None:
    expected = {f"{PACKAGE}.{room}" for room in rooms}

    assert breaches(f"{PACKAGE}.{module}", text) == expected


def test_an_import_of_the_command_from_a_service_is_seen() -> None:
    assert breaches(f"{PACKAGE}.api.app", "import sensorwatch.cli") == {PACKAGE}


def test_the_strict_parser_never_imports_its_optimisation() -> None:
    for name in ("strict_parsing", "fields", "instants", "schema", "cells"):
        file = ROOT / "common" / "rows" / f"{name}.py"
        names = imported(f"{PACKAGE}.common.rows.{name}", file.read_text(encoding="utf-8"))
        assert not {module for module in names if ".rows.fast" in module}, name
