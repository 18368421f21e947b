"""Fixtures for the registry tests."""

import os
from pathlib import Path

import pytest

from sensorwatch.common.registry.store import Registry
from tests.registry.forging import NAME, a_registry, folder_of


@pytest.fixture(autouse=True)
def _without_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable fsync, which takes most of the test time; no file has to survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Return a registry with one version."""
    return a_registry(tmp_path)


@pytest.fixture
def folder(registry: Registry, tmp_path: Path) -> Path:
    """Return the folder of the champion in `registry`."""
    return folder_of(tmp_path, registry.resolve(NAME, "champion"))
