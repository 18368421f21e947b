from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.app_builders import Client, a_client, a_registry


@pytest.fixture(scope="session")
def registry_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the champion of `a_candidate()`; never change it."""
    path = tmp_path_factory.mktemp("api") / "registry"
    a_registry(path)
    return path


@pytest.fixture(scope="session")
def client(registry_path: Path) -> Iterator[Client]:
    """A client of an application with that champion."""
    with a_client(registry_path) as client:
        yield client
