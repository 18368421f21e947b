"""The wheel installs one top-level name, and works beside packages called `common`, `api`, ..."""

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
from tests.deploy.kernel_copies import copy_compiled_kernels

USER_PACKAGES = ("api", "common", "consumer", "producer", "trainer")
ROW_COUNT = 400


@dataclass(frozen=True, slots=True)
class Project:
    """A user's project folder, and the folder in which the wheel is installed for it."""

    folder: Path
    site_folder: Path

    def run(self, *arguments: str) -> str:
        """Run Python with these arguments in the project folder; return its output."""
        library_folder = sysconfig.get_paths()["purelib"]
        completed_process = subprocess.run(
            # With -S Python ignores the editable installation of this checkout.
            [sys.executable, "-S", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(self.site_folder), library_folder]),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed_process.returncode == 0, completed_process.stderr
        return completed_process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    checkout = folder / "source"
    # Build the wheel in a clone, because a build leaves files in its source folder.
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder)]
    subprocess.run([*command, str(checkout)], check=True)
    (wheel_file,) = folder.glob("*.whl")
    return wheel_file


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose packages have the same names as subpackages of sensorwatch."""
    folder, site_folder = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--disable-pip-version-check", "--quiet", "--target", str(site_folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    copy_compiled_kernels(
        site_folder / "sensorwatch", numba_cache_dir=os.environ.get("NUMBA_CACHE_DIR")
    )
    for name in USER_PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"WHOSE = 'theirs: {name}'\n")
    return Project(folder, site_folder)


@pytest.mark.slow
def test_the_wheel_has_one_top_level_name_the_schemas_and_the_page(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    top_level_names = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top_level_names == {"sensorwatch"}
    folder = ROOT / "schemas"
    schemas = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert {f"sensorwatch/schemas/{name}" for name in schemas} <= set(names)
    page_folder = ROOT / "api" / "page"
    page_files = {
        str(path.relative_to(page_folder))
        for folder_name in ("templates", "static")
        for path in (page_folder / folder_name).iterdir()
    }
    assert {f"sensorwatch/api/page/{name}" for name in page_files} <= set(names)
    assert {"sensorwatch/common/rows/fast/json_rows.py", "sensorwatch/py.typed"} <= set(names)


@pytest.mark.slow
def test_the_wheel_has_the_code_digest_of_the_checkout(project: Project) -> None:
    assert code_digest(project.site_folder / "sensorwatch" / "common") == code_digest(
        ROOT / "common"
    )


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
    project.run("-m", "sensorwatch.producer", "--out", "rows.csv", "--rows", str(ROW_COUNT))
    project.run("-m", "sensorwatch", "schema", "infer", "rows.csv", "--out", "mine.toml")
    check_output = project.run(
        "-m", "sensorwatch", "schema", "check", "mine.toml", "--data", "rows.csv"
    )
    train_output = project.run("-m", "sensorwatch.trainer", "train", "--data", "rows.csv")
    score_output = project.run(
        "-c",
        "from sensorwatch import Registry, read_rows;"
        "print(len(Registry().champion().score(read_rows('rows.csv'))))",
    )

    assert f"{ROW_COUNT} readings, 0 rejected" in check_output
    assert "champion" in train_output
    assert score_output == f"{ROW_COUNT}\n"
