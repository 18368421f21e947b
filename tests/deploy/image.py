"""The image of deploy/Dockerfile, put together in a folder without a container."""

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
    """One line of the Dockerfile."""

    keyword: str
    arguments: tuple[str, ...]
    options: tuple[str, ...]
    """Those that begin with `--`."""

    @property
    def from_another_stage(self) -> bool:
        """Whether a COPY takes its files from an earlier stage."""
        return any(option.startswith("--from=") for option in self.options)


@dataclass(frozen=True, slots=True)
class Image:
    """Where the image's folders stand here."""

    app: Path
    """What is /app in the image: the working folder."""
    data: Path
    """What is /data: the volume."""
    environment: dict[str, str]
    """What the programs in it need to find our installed copy and their own variables."""


@cache
def instructions() -> tuple[Instruction, ...]:
    """Read the Dockerfile, continued lines joined."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    return tuple(_instruction(words) for words in lines)


def copies() -> list[Instruction]:
    """Return the COPY lines that take files from the build context."""
    return [
        instruction
        for instruction in instructions()
        if instruction.keyword == "COPY" and not instruction.from_another_stage
    ]


def in_context(path: str) -> bool:
    """Say whether .dockerignore lets a path (relative to the root) into the build context.

    The last rule that matches the path, or a folder above it, decides, as in Docker.
    """
    parts = PurePosixPath(path).parts
    prefixes = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    allowed = True
    for rule in (ROOT / ".dockerignore").read_text().split():
        pattern = rule.removeprefix("!").removeprefix("**/")
        anywhere = rule.startswith("**/")
        names = [prefix.rpartition("/")[2] if anywhere else prefix for prefix in prefixes]
        if any(_matches(name, pattern) for name in names):
            allowed = rule.startswith("!")
    return allowed


def build(folder: Path) -> Image:
    """Do what the Dockerfile does with our files, in `folder`: copy and install them."""
    source, site, app, data = (folder / name for name in ("src", "site", "app", "data"))
    for made in (source, app, data):
        made.mkdir(parents=True)
    for copy in copies():
        *origins, target = copy.arguments
        for origin in origins:
            _copy(origin, source / target if target[0] != "/" else _inside(folder, target))
    install = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *install, "--target", site, source], check=True
    )
    return Image(app=app, data=data, environment=_environment(folder, site))


def variables() -> dict[str, str]:
    """Return what the last stage's ENV lines set."""
    last = max(
        index for index, instruction in enumerate(instructions()) if instruction.keyword == "FROM"
    )
    pairs = [
        pair
        for instruction in instructions()[last:]
        if instruction.keyword == "ENV"
        for pair in instruction.arguments
    ]
    return dict(pair.split("=", 1) for pair in pairs)


def _instruction(words: list[str]) -> Instruction:
    options = tuple(word for word in words[1:] if word.startswith("--"))
    if words[0] not in {"COPY", "FROM"}:
        options = ()
    return Instruction(words[0], tuple(word for word in words[1:] if word not in options), options)


def _matches(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)


def _inside(folder: Path, target: str) -> Path:
    """Where a path of the image stands here."""
    return folder / target.lstrip("/")


def _copy(origin: str, target: Path) -> None:
    where = ROOT / origin
    if where.is_file():
        into = target / where.name if target.is_dir() else target
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(where, into)
        return
    for path in _files(where):
        if in_context(path.relative_to(ROOT).as_posix()):
            into = target / path.relative_to(where)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, into)


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _environment(folder: Path, site: Path) -> dict[str, str]:
    binaries = folder / "opt" / "venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "sensorwatch").symlink_to(site / "bin" / "sensorwatch")
    python = binaries / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    our_services = {
        name: text.replace("/data", str(folder / "data")) for name, text in variables().items()
    }
    path = our_services.pop("PATH").replace("/opt/venv/bin", str(binaries))
    path = path.replace("$PATH", os.environ["PATH"])
    # Ahead of the editable installation, which comes last among the finders.
    return {**our_services, "PATH": path, "PYTHONPATH": str(site)}
