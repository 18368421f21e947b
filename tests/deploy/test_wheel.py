"""The wheel installs one top-level name, and works beside packages named like its subpackages."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from sensorwatch.common.runtime.fingerprint import code_digest
from tests.deploy.compose import ROOT

USER_PACKAGES = ("api", "common", "consumer", "producer", "trainer")
ROWS = 400


@dataclass(frozen=True, slots=True)
class Project:
    """The folder of a user's project, and the folder into which the wheel is installed."""

    folder: Path
    site: Path

    def run(self, *arguments: str) -> str:
        """Run Python with the arguments in the project folder; return the output."""
        libraries = sysconfig.get_paths()["purelib"]
        completed = subprocess.run(
            # With -S, Python does not see the editable installation of this checkout.
            [sys.executable, "-S", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(self.site), libraries])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # Build from a copy, because the build leaves files in its source folder.
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder)]
    subprocess.run([*command, str(source)], check=True)
    (wheel_file,) = folder.glob("*.whl")
    return wheel_file


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with packages that are named like sensorwatch's subpackages."""
    folder, site = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--disable-pip-version-check", "--quiet", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    for name in USER_PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"WHOSE = 'theirs: {name}'\n")
    return Project(folder, site)


@pytest.mark.slow
def test_the_wheel_has_one_top_level_name_and_the_schemas(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    top_level = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top_level == {"sensorwatch"}
    schemas = {path.name for path in (ROOT / "schemas").iterdir()}
    assert {f"sensorwatch/schemas/{name}" for name in schemas} <= set(names)
    assert {"sensorwatch/common/rows/fast/json_rows.py", "sensorwatch/py.typed"} <= set(names)


@pytest.mark.slow
def test_the_wheel_has_the_code_digest_of_the_checkout(project: Project) -> None:
    assert code_digest(project.site / "sensorwatch" / "common") == code_digest(ROOT / "common")


@pytest.mark.slow
def test_the_projects_own_packages_are_imported(project: Project) -> None:
    code = (
        "import api, common, consumer, producer, trainer, sensorwatch.common.errors;"
        "print(api.WHOSE, common.WHOSE, consumer.WHOSE, producer.WHOSE, trainer.WHOSE)"
    )

    output = project.run("-c", code)

    assert output.split(" theirs: ") == ["theirs: api", *USER_PACKAGES[1:-1], "trainer\n"]


@pytest.mark.slow
def test_the_commands_work_beside_packages_with_the_same_names(project: Project) -> None:
    project.run("-m", "sensorwatch.producer", "--out", "rows.csv", "--rows", str(ROWS))
    project.run("-m", "sensorwatch", "schema", "infer", "rows.csv", "--out", "mine.toml")
    check_output = project.run(
        "-m", "sensorwatch", "schema", "check", "mine.toml", "--data", "rows.csv"
    )
    train_output = project.run("-m", "sensorwatch.trainer", "train", "--data", "rows.csv")
    row_count = project.run(
        "-c",
        "from sensorwatch import Registry, read_rows;"
        "print(len(Registry().champion().score(read_rows('rows.csv'))))",
    )

    assert "0 of" in check_output or "0 rejected" in check_output or "none" in check_output, (
        check_output
    )
    assert "champion" in train_output
    assert row_count == f"{ROWS}\n"
