"""Every package imports only packages of the layers below it, and no imports form a circle.

A *room* is a package or module that has its own entry in the allowed imports.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "sensorwatch"
LINKED_FOLDERS = ("api", "common", "consumer", "producer", "trainer")
"""The top-level folders that the package `sensorwatch` contains as symbolic links."""
BASE_MODULES = {
    f"{PACKAGE}.common.{name}" for name in ("errors", "escaping", "kernels", "pydantic_errors")
}
"""The modules that every room may import."""


def _rooms_of_common(*names: str) -> set[str]:
    return {f"{PACKAGE}.common.{name}" for name in names}


BELOW_MODEL = _rooms_of_common("rows", "row_executor") | BASE_MODULES
BELOW_SCORING = BELOW_MODEL | _rooms_of_common("model")
BELOW_LEDGER = BELOW_SCORING | _rooms_of_common("scoring")
ALL_OF_COMMON = BELOW_LEDGER | _rooms_of_common(
    "kafka", "ledger", "parquet", "registry", "runtime", "simulation", "tables"
)
ALLOWED_IMPORTS = {
    f"{PACKAGE}.common.errors": set[str](),
    f"{PACKAGE}.common.escaping": set[str](),
    f"{PACKAGE}.common.kernel_folder": set[str](),
    f"{PACKAGE}.common.kernel_cache": _rooms_of_common("kernel_folder"),
    f"{PACKAGE}.common.kernels": _rooms_of_common("kernel_cache"),
    f"{PACKAGE}.common.pydantic_errors": set[str](),
    f"{PACKAGE}.common.row_executor": set[str](),
    f"{PACKAGE}.common.rows": BASE_MODULES | _rooms_of_common("row_executor"),
    f"{PACKAGE}.common.parquet": BASE_MODULES | _rooms_of_common("rows"),
    f"{PACKAGE}.common.tables": BASE_MODULES | _rooms_of_common("rows", "parquet"),
    f"{PACKAGE}.common.simulation": BASE_MODULES | _rooms_of_common("rows"),
    f"{PACKAGE}.common.model": BELOW_MODEL,
    f"{PACKAGE}.common.scoring": BELOW_SCORING,
    f"{PACKAGE}.common.ledger": BELOW_LEDGER,
    f"{PACKAGE}.common.registry": BELOW_LEDGER,
    f"{PACKAGE}.common.kafka": BELOW_LEDGER | _rooms_of_common("ledger"),
    f"{PACKAGE}.common.runtime": BELOW_LEDGER,
    **{f"{PACKAGE}.{part}": ALL_OF_COMMON for part in LINKED_FOLDERS if part != "common"},
    PACKAGE: ALL_OF_COMMON | {f"{PACKAGE}.{part}" for part in LINKED_FOLDERS if part != "common"},
    "benchmarks": ALL_OF_COMMON | {f"{PACKAGE}.trainer"},
}
"""For each room, the rooms that it may import."""
PURE_ROOMS = tuple(
    f"{PACKAGE}.common.{room}" for room in ("rows", "model", "scoring", "ledger", "simulation")
)
LIBRARIES_WITH_IO = {
    *("aiohttp", "confluent_kafka", "fastapi", "fsspec", "httpx", "joblib", "pickle"),
    *("prometheus_client", "random", "requests", "rich", "shelve", "socket", "sqlite3"),
    *("subprocess", "threading", "time", "typer", "uvicorn"),
}
"""The libraries that no room of pure computation may import."""
CODE_LOADING_LIBRARIES = {
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "pickle",
    "shelve",
    "sklearn",
}
ROOMS_OF_SERVICES = (
    *PURE_ROOMS,
    *(f"{PACKAGE}.{room}" for room in ("api", "consumer", "common.kafka", "common.runtime")),
)


def sources() -> list[Path]:
    """Return every source file of the package and the benchmarks once, without following links."""
    folders = (*LINKED_FOLDERS, PACKAGE, "benchmarks")
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the dotted name under which a source file is imported."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    return f"{PACKAGE}.{name}" if name.split(".")[0] in LINKED_FOLDERS else name


def folder_of(room: str) -> Path:
    return ROOT / room.removeprefix(f"{PACKAGE}.").replace(".", "/")


def imported_modules(module: str, text: str) -> set[str]:
    """Return the dotted name of every module that `text` imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # In `from sensorwatch.common import rows`, the imported name is itself a room.
            names |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return names


def room_of(module: str) -> str | None:
    """Return the room of a module; None for libraries and for `sensorwatch.common` itself."""
    parts = module.split(".")
    for length in (3, 2, 1):
        room = ".".join(parts[:length])
        if len(parts) >= length and room in ALLOWED_IMPORTS and room != PACKAGE:
            return room
    is_in_command_line = parts[0] == PACKAGE and parts[1:2] != ["common"]
    return PACKAGE if is_in_command_line else None


def forbidden_rooms(module: str, text: str) -> set[str]:
    """Return the rooms that a module imports but may not import."""
    own_room = room_of(module)
    if own_room is None:
        return set()
    rooms = {room for name in imported_modules(module, text) if (room := room_of(name)) is not None}
    # `from sensorwatch import Detector` imports a public name, which every benchmark may do.
    return rooms - ALLOWED_IMPORTS[own_room] - {own_room}


def test_only_the_speed_benchmark_imports_tests() -> None:
    """The speed benchmark uses the Kafka of the tests. Installed code must not import tests."""
    modules_that_import_tests = {
        module
        for path in sources()
        if "tests" in imported_packages(module := module_of(path), path.read_text(encoding="utf-8"))
    }

    assert {module.rpartition(".")[0] for module in modules_that_import_tests} <= {
        "benchmarks.speed"
    }


def imported_packages(module: str, text: str) -> set[str]:
    return {name.split(".")[0] for name in imported_modules(module, text)}


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_point_downward(path: Path) -> None:
    assert forbidden_rooms(module_of(path), path.read_text(encoding="utf-8")) == set()


def test_the_allowed_imports_list_every_room() -> None:
    rooms = {room for path in sources() if (room := room_of(module_of(path))) is not None}

    assert rooms == set(ALLOWED_IMPORTS)


def test_the_allowed_imports_form_no_circle() -> None:
    placed: set[str] = set()
    while placed != set(ALLOWED_IMPORTS):
        ready = {room for room in set(ALLOWED_IMPORTS) - placed if ALLOWED_IMPORTS[room] <= placed}
        assert ready, f"imports form a circle among {set(ALLOWED_IMPORTS) - placed}"
        placed |= ready


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_imports_no_library_with_io(room: str) -> None:
    for path in folder_of(room).rglob("*.py"):
        packages = imported_packages(module_of(path), path.read_text(encoding="utf-8"))
        assert packages & LIBRARIES_WITH_IO == set(), path.name


@pytest.mark.parametrize("room", ROOMS_OF_SERVICES)
def test_no_room_of_a_service_imports_a_library_that_executes_code_on_load(room: str) -> None:
    for path in folder_of(room).rglob("*.py"):
        packages = imported_packages(module_of(path), path.read_text(encoding="utf-8"))
        assert packages & CODE_LOADING_LIBRARIES == set(), path.name


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
def test_an_import_in_the_wrong_direction_is_found(module: str, text: str, rooms: set[str]) -> None:
    expected = {f"{PACKAGE}.{room}" for room in rooms}

    assert forbidden_rooms(f"{PACKAGE}.{module}", text) == expected


def test_an_import_of_the_command_line_from_a_service_is_found() -> None:
    assert forbidden_rooms(f"{PACKAGE}.api.app", "import sensorwatch.cli") == {PACKAGE}


def test_the_strict_parser_never_imports_its_optimisation() -> None:
    for name in ("strict_parsing", "fields", "instants", "schema", "cells"):
        file = ROOT / "common" / "rows" / f"{name}.py"
        names = imported_modules(f"{PACKAGE}.common.rows.{name}", file.read_text(encoding="utf-8"))
        assert not {module for module in names if ".rows.fast" in module}, name
