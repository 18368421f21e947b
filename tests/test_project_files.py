"""Workflow, hooks, Makefile, templates and coverage settings do not contradict each other."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sensorwatch.common.kernels import inlined_kernel, kernel
from tests.brokers import jars

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
CI_SCRIPT = (ROOT / ".ci" / "run").read_text()
CONTRIBUTOR_FILES = [
    *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", ".pre-commit-config.yaml")),
    *sorted((ROOT / ".github").rglob("*.md")),
]


def read_yaml(name: str) -> dict[str, Any]:
    """Read a YAML file of the project."""
    yaml_content: dict[str, Any] = YAML(typ="safe").load(ROOT / name)
    return yaml_content


def workflow_job() -> dict[str, Any]:
    """Return the only job of the CI workflow."""
    (job,) = read_yaml(".github/workflows/ci.yml")["jobs"].values()
    typed_job: dict[str, Any] = job
    return typed_job


def step_using(action: str) -> dict[str, Any]:
    """Return the settings of the workflow step that uses the GitHub action `action`."""
    (step,) = [step for step in workflow_job()["steps"] if action in step.get("uses", "")]
    settings: dict[str, Any] = step["with"]
    return settings


def make_targets() -> set[str]:
    """Return the names of the documented targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))


def test_the_workflow_runs_only_the_ci_script_which_runs_make_check() -> None:
    commands = [step["run"] for step in workflow_job()["steps"] if "run" in step]

    assert commands == [".ci/run"]
    assert "make check" in CI_SCRIPT
    assert re.search(r"^check: lint types test\b", MAKEFILE, re.MULTILINE)


def test_the_workflow_tests_every_python_version_of_the_package() -> None:
    classifier_prefix = "Programming Language :: Python :: 3."
    classifiers = {
        text for text in PYPROJECT["project"]["classifiers"] if text.startswith(classifier_prefix)
    }
    tested_versions = workflow_job()["strategy"]["matrix"]["python"]

    assert {
        f"Programming Language :: Python :: {version}" for version in tested_versions
    } == classifiers
    assert PYPROJECT["project"]["requires-python"] == f">={tested_versions[0]}"
    assert step_using("setup-python")["python-version"] == "${{ matrix.python }}"


def test_the_timeout_of_the_workflow_exceeds_the_timeout_of_its_script() -> None:
    (timeout_minutes,) = re.findall(r"timeout .*\b(\d+)m make check", CI_SCRIPT)

    assert workflow_job()["timeout-minutes"] > int(timeout_minutes)


def test_the_workflow_caches_the_folder_of_kafkas_jars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    cache = step_using("actions/cache")
    (key_file,) = re.findall(r"hashFiles\('(.+)'\)", cache["key"])

    assert f"~/{jars._cache_folder().parent.relative_to(Path.home())}" in cache["path"].split()
    assert (ROOT / key_file).is_file()


def test_the_workflow_uploads_the_coverage_that_the_tests_write() -> None:
    uploaded_file = step_using("upload-artifact")["path"]

    assert uploaded_file == "coverage.xml"
    assert re.search(r"pytest .*--cov --cov-report xml\b", MAKEFILE, re.MULTILINE)
    assert f"/{uploaded_file}" in (ROOT / ".gitignore").read_text().split()


def test_hooks_run_targets_of_the_makefile_with_locked_versions() -> None:
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"].split() for hook in repository["hooks"]]

    assert repository["repo"] == "local"
    assert [(entry[0], entry[-1]) for entry in entries] == [("make", "lint"), ("make", "types")]


@pytest.mark.parametrize("path", CONTRIBUTOR_FILES, ids=lambda path: path.name)
def test_every_make_target_and_link_for_contributors_exists(path: Path) -> None:
    text = path.read_text()
    named_targets = set(re.findall(r"`make ([a-z-]+)", text))
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]

    assert named_targets <= make_targets()
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_coverage_leaves_out_the_functions_that_numba_compiles() -> None:
    (exclusion_pattern,) = PYPROJECT["tool"]["coverage"]["report"]["exclude_also"]

    for decorator in (kernel, inlined_kernel):
        assert re.search(
            exclusion_pattern, f"@{decorator.__name__}\ndef function(): ...", re.MULTILINE
        )
    assert not re.search(exclusion_pattern, "@cache\ndef function(): ...", re.MULTILINE)


def test_coverage_has_a_minimum_and_measures_existing_folders() -> None:
    coverage = PYPROJECT["tool"]["coverage"]

    assert coverage["report"]["fail_under"] > 0
    assert [name for name in coverage["run"]["source"] if not (ROOT / name).is_dir()] == []
