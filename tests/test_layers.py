"""The direction of imports is the design's: never sideways, never upward, no circles."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = {"common", "sensorwatch", "benchmarks"}
PARTS = {"producer", "consumer", "trainer", "api"}
PLAIN = {"common.crew", "common.errors", "common.explain", "common.kernels"}
"""What every room may use."""
MAY_IMPORT = {
    "common.crew": set[str](),
    "common.errors": set[str](),
    "common.explain": set[str](),
    "common.kernels": set[str](),
    "common.rows": PLAIN,
    "common.tables": PLAIN | {"common.rows", "common.parquet"},
    "common.parquet": PLAIN | {"common.rows"},
    "common.simulation": PLAIN | {"common.rows"},
    "common.detection": PLAIN | {"common.rows"},
    "common.registry": PLAIN | {"common.rows", "common.detection"},
    "common.messaging": PLAIN | {"common.rows", "common.detection"},
    "common.runtime": PLAIN | {"common.rows", "common.detection"},
    "producer": {"common"},
    "consumer": {"common"},
    "trainer": {"common"},
    "api": {"common"},
    "sensorwatch": {"common", *PARTS},
    "benchmarks": {"common", "trainer"},
}
PURE = ("common.rows", "common.detection", "common.simulation")
WORLD = {
    *("aiohttp", "confluent_kafka", "fastapi", "fsspec", "httpx", "joblib", "pickle"),
    *("prometheus_client", "random", "requests", "rich", "shelve", "socket", "sqlite3"),
    *("subprocess", "threading", "time", "typer", "uvicorn"),
}
"""What no pure room may use."""
EXECUTES_ON_LOAD = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "sklearn"}
SERVES = (
    *("api", "consumer", "common.detection", "common.messaging", "common.rows"),
    "common.runtime",
)


def sources() -> list[Path]:
    return sorted(path for part in {*TOPS, *PARTS} for path in _files(part))


def _files(part: str) -> Iterator[Path]:
    return (ROOT / part).rglob("*.py")


def module_of(path: Path) -> str:
    """The dotted name of a source file, from the project's root."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(module: str, text: str) -> set[str]:
    """Every module that `text` imports anywhere, also inside of functions; dotted names."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from common import rows` names a room, `from common.rows import x` need not.
            found |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return found


def room_of(module: str) -> str | None:
    """The room of ours that a module stands in; None for the libraries and for `common` itself."""
    parts = module.split(".")
    if parts[0] != "common":
        return parts[0] if parts[0] in MAY_IMPORT else None
    return ".".join(parts[:2]) if len(parts) > 1 else None


def breaches(module: str, text: str) -> set[str]:
    """The rooms that a module imports and may not."""
    own = room_of(module)
    if own is None:
        return set()
    allowed = MAY_IMPORT[own] | {own}
    rooms = {room for name in imported(module, text) if (room := room_of(name)) is not None}
    return {
        room
        for room in rooms
        if room not in allowed and not ("common" in allowed and room.startswith("common."))
    }


def test_only_the_benchmark_of_speed_takes_anything_from_the_tests() -> None:
    """It needs the real Kafka that they start; nothing that is installed may lean on them."""
    found = {
        module
        for path in sources()
        if "tests" in libraries(module := module_of(path), path.read_text(encoding="utf-8"))
    }

    assert {module.rpartition(".")[0] for module in found} <= {"benchmarks.speed"}


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
        ready = {
            room
            for room in set(MAY_IMPORT) - placed
            if all(below in placed or below == "common" for below in MAY_IMPORT[room])
        }
        assert ready, f"a circle among {set(MAY_IMPORT) - placed}"
        placed |= ready


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_touches_nothing_of_the_world(room: str) -> None:
    for path in (ROOT / room.replace(".", "/")).glob("*.py"):
        found = libraries(module_of(path), path.read_text(encoding="utf-8"))
        assert found & WORLD == set(), path.name


@pytest.mark.parametrize("room", SERVES)
def test_nothing_that_serves_imports_what_executes_on_load(room: str) -> None:
    for path in (ROOT / room.replace(".", "/")).rglob("*.py"):
        found = libraries(module_of(path), path.read_text(encoding="utf-8"))
        assert found & EXECUTES_ON_LOAD == set(), path.name


@pytest.mark.parametrize(
    ("module", "text", "found"),
    [
        ("common.rows.fields", "import common.detection.forest", {"common.detection"}),
        ("common.rows.fields", "from common import detection", {"common.detection"}),
        ("common.detection.forest", "from ..registry import store", {"common.registry"}),
        ("common.messaging.events", "from common.registry.store import x", {"common.registry"}),
        ("common.registry.store", "import common.messaging.events", {"common.messaging"}),
        ("common.detection.plan", "def f():\n    import common.runtime", {"common.runtime"}),
        ("consumer.loop", "from sensorwatch.producer.sink import Sink", {"producer"}),
        ("api.app", "import sensorwatch", {"sensorwatch"}),
        ("common.errors", "import consumer.loop", {"consumer"}),
        ("common.messaging.events", "from common.rows.readings import Readings", set()),
        ("sensorwatch.cli", "import consumer.command, trainer.training", set()),
        ("consumer.loop", "from common.registry.champion import Champion", set()),
    ],
)
def test_an_import_in_the_wrong_direction_is_seen(module: str, text: str, found: set[str]) -> None:
    assert breaches(module, text) == found
