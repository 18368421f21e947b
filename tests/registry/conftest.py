"""What the tests of the registry run with."""

import os
from pathlib import Path

import pytest

from sensorwatch.common.registry.store import Registry
from tests.registry.forging import NAME, a_registry, folder_of


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out fsync: it takes most of the time, and no test's folder outlives a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Give a registry with one version; a test that wants more makes its own."""
    return a_registry(tmp_path)


@pytest.fixture
def folder(registry: Registry, tmp_path: Path) -> Path:
    """Give the folder of that version."""
    return folder_of(tmp_path, registry.resolve(NAME, "champion"))
