"""The image of deploy/Dockerfile, built in a local folder instead of a container."""

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
    """The options of a COPY or FROM instruction: its words that begin with `--`."""

    @property
    def copies_from_stage(self) -> bool:
        """Return whether a COPY instruction takes its files from an earlier build stage."""
        return any(option.startswith("--from=") for option in self.options)


@dataclass(frozen=True, slots=True)
class Image:
    """The folders and environment variables of a built image."""

    app_folder: Path
    """The local folder that represents /app, the working folder of the image."""
    data_folder: Path
    """The local folder that represents /data, the volume of the image."""
    environment: dict[str, str]
    """The environment variables for programs of the image."""


@cache
def instructions() -> tuple[Instruction, ...]:
    """Return the instructions of the Dockerfile, with continued lines joined."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    return tuple(_instruction(words) for words in lines)


def copy_instructions() -> list[Instruction]:
    """Return the COPY instructions that take files from the build context."""
    return [
        instruction
        for instruction in instructions()
        if instruction.keyword == "COPY" and not instruction.copies_from_stage
    ]


def is_in_context(path: str) -> bool:
    """Return whether a path, relative to the repository, is in Docker's build context.

    As in Docker, the last rule of .dockerignore that matches the path or a parent of it decides.
    """
    path_parts = PurePosixPath(path).parts
    prefixes = ["/".join(path_parts[: length + 1]) for length in range(len(path_parts))]
    is_allowed = True
    for rule in (ROOT / ".dockerignore").read_text().split():
        pattern = rule.removeprefix("!").removeprefix("**/")
        matches_any_folder = rule.startswith("**/")
        names = [prefix.rpartition("/")[2] if matches_any_folder else prefix for prefix in prefixes]
        if any(_matches(name, pattern) for name in names):
            is_allowed = rule.startswith("!")
    return is_allowed


def build_image(folder: Path) -> Image:
    """Copy and install the project in `folder` as the Dockerfile does; return the image."""
    source, site_folder, app_folder, data_folder = (
        folder / name for name in ("src", "site", "app", "data")
    )
    for new_folder in (source, app_folder, data_folder):
        new_folder.mkdir(parents=True)
    for copy in copy_instructions():
        *origins, target = copy.arguments
        for origin in origins:
            _copy_to_image(
                origin, source / target if target[0] != "/" else _image_path(folder, target)
            )
    pip_options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *pip_options, "--target", site_folder, source],
        check=True,
    )
    return Image(
        app_folder=app_folder,
        data_folder=data_folder,
        environment=_environment(folder, site_folder),
    )


def environment_variables() -> dict[str, str]:
    """Return the variables that the last build stage sets with ENV."""
    last_from_index = max(
        index for index, instruction in enumerate(instructions()) if instruction.keyword == "FROM"
    )
    assignments = [
        assignment
        for instruction in instructions()[last_from_index:]
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
    """Return the path below `folder` that represents an absolute path of the image."""
    return folder / target.lstrip("/")


def _copy_to_image(origin: str, target: Path) -> None:
    source = ROOT / origin
    if source.is_file():
        destination = target / source.name if target.is_dir() else target
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)
        return
    for path in _files(source):
        if is_in_context(path.relative_to(ROOT).as_posix()):
            destination = target / path.relative_to(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            # Docker copies a symbolic link inside a copied folder as a link, so do the same.
            shutil.copyfile(path, destination, follow_symlinks=False)


def _files(folder: Path) -> Iterator[Path]:
    entries = sorted(folder.rglob("*"))
    yield from (path for path in entries if path.is_symlink() or path.is_file())


def _environment(folder: Path, site_folder: Path) -> dict[str, str]:
    bin_folder = folder / "opt" / "venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "sensorwatch").symlink_to(site_folder / "bin" / "sensorwatch")
    python = bin_folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    settings = {
        name: text.replace("/data", str(folder / "data"))
        for name, text in environment_variables().items()
    }
    path = settings.pop("PATH").replace("/opt/venv/bin", str(bin_folder))
    path = path.replace("$PATH", os.environ["PATH"])
    # Python finds `site_folder` before the editable installation, because of PYTHONPATH.
    return {**settings, "PATH": path, "PYTHONPATH": str(site_folder)}
