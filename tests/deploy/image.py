"""Builds the image of deploy/Dockerfile as a folder, without a container."""

import fnmatch
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from tests.deploy.compose import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of the Dockerfile."""

    keyword: str
    arguments: tuple[str, ...]
    options: tuple[str, ...]
    """The words of the instruction that begin with `--`."""

    @property
    def copies_from_stage(self) -> bool:
        """Return True if this COPY takes its files from an earlier build stage."""
        return any(option.startswith("--from=") for option in self.options)


@dataclass(frozen=True, slots=True)
class Image:
    """The folders and variables of a built image."""

    app: Path
    """The folder that is /app in the image, the working folder."""
    data: Path
    """The folder that is /data in the image, the volume."""
    environment: dict[str, str]
    """The environment variables for programs that run in the image."""


@cache
def instructions() -> tuple[Instruction, ...]:
    """Return the instructions of the Dockerfile; lines that end in a backslash are joined."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    return tuple(_instruction(words) for words in lines)


def copies() -> list[Instruction]:
    """Return the COPY instructions that take files from the build context."""
    return [
        instruction
        for instruction in instructions()
        if instruction.keyword == "COPY" and not instruction.copies_from_stage
    ]


def is_in_context(path: str) -> bool:
    """Return True if `path` is in the build context; it is relative to the project's root.

    As in Docker, the last rule of .dockerignore that matches the path or a parent folder applies.
    """
    parts = PurePosixPath(path).parts
    prefixes = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    is_allowed = True
    for ignore_rule in (ROOT / ".dockerignore").read_text().split():
        pattern = ignore_rule.removeprefix("!").removeprefix("**/")
        matches_any_folder = ignore_rule.startswith("**/")
        names = [prefix.rpartition("/")[2] if matches_any_folder else prefix for prefix in prefixes]
        if any(_matches(name, pattern) for name in names):
            is_allowed = ignore_rule.startswith("!")
    return is_allowed


def build(folder: Path) -> Image:
    """Copy and install the project into `folder` as the Dockerfile does; return the image."""
    source, site, app, data = (folder / name for name in ("src", "site", "app", "data"))
    for new_folder in (source, app, data):
        new_folder.mkdir(parents=True)
    for copy in copies():
        *source_paths, target = copy.arguments
        for source_path in source_paths:
            _copy(source_path, source / target if target[0] != "/" else _image_path(folder, target))
    install = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *install, "--target", site, source], check=True
    )
    return Image(app=app, data=data, environment=_environment(folder, site))


def variables() -> dict[str, str]:
    """Return the variables that the last build stage sets with ENV."""
    last_from = max(
        index for index, instruction in enumerate(instructions()) if instruction.keyword == "FROM"
    )
    assignments = [
        assignment
        for instruction in instructions()[last_from:]
        if instruction.keyword == "ENV"
        for assignment in instruction.arguments
    ]
    return dict(assignment.split("=", 1) for assignment in assignments)


def _instruction(words: list[str]) -> Instruction:
    options = tuple(word for word in words[1:] if word.startswith("--"))
    if words[0] not in {"COPY", "FROM"}:
        options = ()
    return Instruction(words[0], tuple(word for word in words[1:] if word not in options), options)


def _matches(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)


def _image_path(folder: Path, target: str) -> Path:
    """Return the path in `folder` that represents `target`, a path in the image."""
    return folder / target.lstrip("/")


def _copy(source_path: str, target: Path) -> None:
    source = ROOT / source_path
    if source.is_file():
        destination = target / source.name if target.is_dir() else target
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)
        return
    for path in _files(source):
        if is_in_context(path.relative_to(ROOT).as_posix()):
            destination = target / path.relative_to(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            # As in Docker, a symbolic link inside a folder is copied as a link.
            shutil.copyfile(path, destination, follow_symlinks=False)


def _files(folder: Path) -> Iterator[Path]:
    entries = sorted(folder.rglob("*"))
    yield from (path for path in entries if path.is_symlink() or path.is_file())


def _environment(folder: Path, site: Path) -> dict[str, str]:
    binaries = folder / "opt" / "venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "sensorwatch").symlink_to(site / "bin" / "sensorwatch")
    python = binaries / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    image_variables = {
        name: text.replace("/data", str(folder / "data")) for name, text in variables().items()
    }
    path = image_variables.pop("PATH").replace("/opt/venv/bin", str(binaries))
    path = path.replace("$PATH", os.environ["PATH"])
    # PYTHONPATH is searched before the editable installation.
    return {**image_variables, "PATH": path, "PYTHONPATH": str(site)}
