"""Tests of the Dockerfile and of the files that it copies."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy.compose import ROOT
from tests.deploy.image import build, copies, instructions, is_in_context, variables

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def linked_folders() -> set[str]:
    """Return the top-level folders to which the package `sensorwatch` contains symbolic links."""
    return {path.name for path in (ROOT / "sensorwatch").iterdir() if path.is_symlink()}


def test_every_copied_path_exists_and_is_in_the_build_context() -> None:
    source_paths = [source_path for copy in copies() for source_path in copy.arguments[:-1]]
    assert source_paths
    for source_path in source_paths:
        assert (ROOT / source_path).exists(), f"COPY {source_path}: does not exist"
        assert is_in_context(source_path), f"COPY {source_path}: .dockerignore excludes it"


@pytest.mark.parametrize(
    "path", [".git/config", "tests/conftest.py", "registry/default/x", "api/__pycache__/a.pyc"]
)
def test_files_that_the_image_does_not_need_are_not_in_the_build_context(path: str) -> None:
    assert not is_in_context(path)


def test_every_top_level_package_is_copied() -> None:
    copied = {source_path for copy in copies() for source_path in copy.arguments[:-1]}
    folders = {"api", "common", "consumer", "producer", "schemas", "trainer"}
    assert linked_folders() == folders
    assert folders | {"sensorwatch"} <= copied


def test_only_locked_dependencies_are_downloaded_and_their_hashes_are_checked() -> None:
    run_commands = [
        instruction.arguments for instruction in instructions() if instruction.keyword == "RUN"
    ]
    installs = [
        arguments for arguments in run_commands if "install" in arguments and "-m" not in arguments
    ]
    installs = [arguments for arguments in installs if arguments[0].endswith("pip")]
    assert len(installs) == 2
    assert {"--require-hashes", "-r", "requirements.lock"} <= set(installs[0])
    assert {"--no-deps", "--no-build-isolation"} <= set(installs[1])


def test_every_pinned_package_of_the_lock_has_a_hash() -> None:
    entries = (ROOT / "requirements.lock").read_text().replace("\\\n", " ").splitlines()
    pinned = [entry for entry in entries if "==" in entry and not entry.startswith("#")]
    assert len(pinned) > 20
    assert [entry.split()[0] for entry in pinned if "--hash=sha256:" not in entry] == []


def test_the_python_of_the_image_is_supported_by_the_project() -> None:
    bases = {
        instruction.arguments[0] for instruction in instructions() if instruction.keyword == "FROM"
    }
    assert len(bases) == 1, "packages built for one Python do not fit another"
    version = bases.pop().removeprefix("python:").partition("-")[0].split(".")
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert (int(version[0]), int(version[1])) >= (3, 11)


def test_programs_run_as_an_unprivileged_user_that_owns_the_volume() -> None:
    image_users = [
        instruction.arguments[0] for instruction in instructions() if instruction.keyword == "USER"
    ]
    assert image_users[-1:] not in ([], ["root"], ["0"])
    run_commands = [
        " ".join(instruction.arguments)
        for instruction in instructions()
        if instruction.keyword == "RUN"
    ]
    assert any(f"--owner={image_users[-1]} /data" in run_command for run_command in run_commands)
    assert variables()["NUMBA_CACHE_DIR"].startswith("/data/"), "the root file system is read-only"


def test_the_kernels_are_compiled_by_the_user_before_the_volume_is_declared() -> None:
    lines = [(instruction.keyword, *instruction.arguments) for instruction in instructions()]
    warmup = lines.index(("RUN", "sensorwatch", "warmup"))
    assert lines.index(("USER", "sensorwatch")) < warmup < lines.index(("VOLUME", "/data"))


@pytest.mark.slow
def test_the_installed_copy_has_every_module_and_the_command(tmp_path: Path) -> None:
    image = build(tmp_path)
    site = Path(image.environment["PYTHONPATH"])
    module_names = {
        (Path("sensorwatch") / path.relative_to(ROOT)).as_posix()
        for folder in linked_folders()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name for name in module_names if not (site / name).is_file()} == set()
    assert (site / "sensorwatch" / "py.typed").is_file()
    version_output = subprocess.run(
        ["sensorwatch", "--version"],
        env=image.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert version_output.stdout.split()[1] == PROJECT["project"]["version"]
    print_file = "import sensorwatch; print(sensorwatch.__file__)"
    import_output = subprocess.run(
        [sys.executable, "-c", print_file],
        env=image.environment,
        cwd=image.app,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(import_output.stdout.strip()).is_relative_to(site), (
        "the installed copy must be imported"
    )
