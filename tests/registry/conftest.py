"""What every test of the registry runs with."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out fsync: it takes most of the time, and no test's folder outlives a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
