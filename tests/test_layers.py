"""Every package imports only packages in lower layers, and no imports form a circle.

In this file, a module with its own entry in ALLOWED_IMPORTS also counts as a package.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOT_PACKAGE = "sensorwatch"
LINKED_FOLDERS = ("api", "common", "consumer", "producer", "trainer")
"""Top-level folders to which the package `sensorwatch` contains symbolic links."""
BASE_MODULES = {
    f"{ROOT_PACKAGE}.common.{name}"
    for name in ("errors", "escaping", "kernel_hooks", "kernels", "pydantic_errors")
}
"""The modules that every package may import."""


def _packages_of_common(*names: str) -> set[str]:
    return {f"{ROOT_PACKAGE}.common.{name}" for name in names}


PACKAGES_BELOW_MODEL = _packages_of_common("rows", "row_executor") | BASE_MODULES
PACKAGES_BELOW_SCORING = PACKAGES_BELOW_MODEL | _packages_of_common("model", "policy")
PACKAGES_BELOW_LEDGER = PACKAGES_BELOW_SCORING | _packages_of_common("scoring")
COMMON_PACKAGES = PACKAGES_BELOW_LEDGER | _packages_of_common(
    "alarms", "files", "kafka", "ledger", "registry", "runtime", "simulation", "verdicts"
)
ALLOWED_IMPORTS = {
    f"{ROOT_PACKAGE}.common.errors": set[str](),
    f"{ROOT_PACKAGE}.common.escaping": set[str](),
    f"{ROOT_PACKAGE}.common.kernel_folder": set[str](),
    f"{ROOT_PACKAGE}.common.kernel_hooks": set[str](),
    f"{ROOT_PACKAGE}.common.kernel_cache": _packages_of_common("kernel_folder", "kernel_hooks"),
    f"{ROOT_PACKAGE}.common.kernels": _packages_of_common("kernel_cache"),
    f"{ROOT_PACKAGE}.common.pydantic_errors": set[str](),
    f"{ROOT_PACKAGE}.common.row_executor": set[str](),
    f"{ROOT_PACKAGE}.common.rows": BASE_MODULES | _packages_of_common("row_executor"),
    f"{ROOT_PACKAGE}.common.files": BASE_MODULES | _packages_of_common("rows"),
    f"{ROOT_PACKAGE}.common.simulation": BASE_MODULES | _packages_of_common("rows"),
    f"{ROOT_PACKAGE}.common.model": PACKAGES_BELOW_MODEL,
    f"{ROOT_PACKAGE}.common.policy": BASE_MODULES | _packages_of_common("rows"),
    f"{ROOT_PACKAGE}.common.scoring": PACKAGES_BELOW_SCORING,
    f"{ROOT_PACKAGE}.common.ledger": PACKAGES_BELOW_LEDGER,
    f"{ROOT_PACKAGE}.common.registry": PACKAGES_BELOW_LEDGER,
    f"{ROOT_PACKAGE}.common.kafka": PACKAGES_BELOW_LEDGER | _packages_of_common("ledger"),
    f"{ROOT_PACKAGE}.common.alarms": PACKAGES_BELOW_LEDGER | _packages_of_common("kafka"),
    f"{ROOT_PACKAGE}.common.verdicts": PACKAGES_BELOW_LEDGER
    | _packages_of_common("alarms", "kafka", "registry", "runtime"),
    f"{ROOT_PACKAGE}.common.runtime": PACKAGES_BELOW_LEDGER
    | _packages_of_common("kernel_cache", "kernel_folder"),
    **{
        f"{ROOT_PACKAGE}.{folder}": COMMON_PACKAGES
        for folder in LINKED_FOLDERS
        if folder != "common"
    },
    ROOT_PACKAGE: COMMON_PACKAGES
    | {f"{ROOT_PACKAGE}.{folder}" for folder in LINKED_FOLDERS if folder != "common"},
    "benchmarks": COMMON_PACKAGES | {f"{ROOT_PACKAGE}.trainer"},
}
"""The packages that each package may import."""
PURE_PACKAGES = tuple(
    f"{ROOT_PACKAGE}.common.{package}"
    for package in ("rows", "model", "policy", "scoring", "ledger", "simulation")
)
LIBRARIES_WITH_IO = {
    *("aiohttp", "confluent_kafka", "fastapi", "fsspec", "httpx", "joblib", "pickle"),
    *("prometheus_client", "random", "requests", "rich", "shelve", "socket", "sqlite3"),
    *("subprocess", "threading", "time", "typer", "uvicorn"),
}
"""Libraries that must not be imported by packages that only compute."""
CODE_LOADING_LIBRARIES = {
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "pickle",
    "shelve",
    "sklearn",
}
SERVICE_PACKAGES = (
    *PURE_PACKAGES,
    *(
        f"{ROOT_PACKAGE}.{package}"
        for package in ("api", "consumer", "common.kafka", "common.runtime")
    ),
)


def sources() -> list[Path]:
    """Return the source files of package and benchmarks, each once, without following links."""
    folders = (*LINKED_FOLDERS, ROOT_PACKAGE, "benchmarks")
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the dotted name under which a source file is imported."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    return f"{ROOT_PACKAGE}.{name}" if name.split(".")[0] in LINKED_FOLDERS else name


def folder_of(package: str) -> Path:
    return ROOT / package.removeprefix(f"{ROOT_PACKAGE}.").replace(".", "/")


def imported_modules(module: str, text: str) -> set[str]:
    """Return the dotted name of every module that `text` imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent_packages = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*parent_packages, *([node.module] if node.module else [])])
            # In `from sensorwatch.common import rows`, `rows` is a package, not only a name in one.
            names |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return names


def package_of(module: str) -> str | None:
    """Return the package of a module; None for a library and for `sensorwatch.common` itself."""
    parts = module.split(".")
    for part_count in (3, 2, 1):
        package = ".".join(parts[:part_count])
        if len(parts) >= part_count and package in ALLOWED_IMPORTS and package != ROOT_PACKAGE:
            return package
    is_in_command_line = parts[0] == ROOT_PACKAGE and parts[1:2] != ["common"]
    return ROOT_PACKAGE if is_in_command_line else None


def forbidden_imports(module: str, text: str) -> set[str]:
    """Return the packages that a module imports but may not import."""
    own_package = package_of(module)
    if own_package is None:
        return set()
    packages = {
        package
        for name in imported_modules(module, text)
        if (package := package_of(name)) is not None
    }
    # Every benchmark may import public names, as in `from sensorwatch import Detector`.
    return packages - ALLOWED_IMPORTS[own_package] - {own_package}


def test_only_the_speed_benchmark_imports_tests() -> None:
    """The speed benchmark uses the Kafka of the tests; installed code must not import tests."""
    modules_that_import_tests = {
        module
        for path in sources()
        if "tests" in top_level_imports(module := module_of(path), path.read_text(encoding="utf-8"))
    }

    assert {module.rpartition(".")[0] for module in modules_that_import_tests} <= {
        "benchmarks.speed"
    }


def top_level_imports(module: str, text: str) -> set[str]:
    return {name.split(".")[0] for name in imported_modules(module, text)}


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_a_module_imports_only_allowed_packages(path: Path) -> None:
    assert forbidden_imports(module_of(path), path.read_text(encoding="utf-8")) == set()


def test_the_allowed_imports_list_every_package() -> None:
    packages = {
        package for path in sources() if (package := package_of(module_of(path))) is not None
    }

    assert packages == set(ALLOWED_IMPORTS)


def test_the_allowed_imports_form_no_circle() -> None:
    checked_packages: set[str] = set()
    while checked_packages != set(ALLOWED_IMPORTS):
        next_packages = {
            package
            for package in set(ALLOWED_IMPORTS) - checked_packages
            if ALLOWED_IMPORTS[package] <= checked_packages
        }
        assert next_packages, (
            f"imports form a circle among {set(ALLOWED_IMPORTS) - checked_packages}"
        )
        checked_packages |= next_packages


@pytest.mark.parametrize("package", PURE_PACKAGES)
def test_a_pure_package_imports_no_library_with_io(package: str) -> None:
    for path in folder_of(package).rglob("*.py"):
        imports = top_level_imports(module_of(path), path.read_text(encoding="utf-8"))
        assert imports & LIBRARIES_WITH_IO == set(), path.name


@pytest.mark.parametrize("package", SERVICE_PACKAGES)
def test_no_package_of_a_service_imports_a_library_that_executes_code_on_load(package: str) -> None:
    for path in folder_of(package).rglob("*.py"):
        imports = top_level_imports(module_of(path), path.read_text(encoding="utf-8"))
        assert imports & CODE_LOADING_LIBRARIES == set(), path.name


@pytest.mark.parametrize(
    ("module", "text", "packages"),
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
def test_an_import_in_the_wrong_direction_is_found(
    module: str, text: str, packages: set[str]
) -> None:
    expected = {f"{ROOT_PACKAGE}.{package}" for package in packages}

    assert forbidden_imports(f"{ROOT_PACKAGE}.{module}", text) == expected


def test_an_import_of_the_command_line_from_a_service_is_found() -> None:
    assert forbidden_imports(f"{ROOT_PACKAGE}.api.app", "import sensorwatch.cli") == {ROOT_PACKAGE}


def test_the_strict_parser_never_imports_its_optimisation() -> None:
    for name in ("strict_parsing", "fields", "instants", "schema", "cells"):
        file = ROOT / "common" / "rows" / f"{name}.py"
        names = imported_modules(
            f"{ROOT_PACKAGE}.common.rows.{name}", file.read_text(encoding="utf-8")
        )
        assert not {module for module in names if ".rows.fast" in module}, name
