from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.app_builders import Client, a_client, a_registry


@pytest.fixture(scope="session")
def registry_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a registry with a champion, which all tests share and none may change."""
    path = tmp_path_factory.mktemp("api") / "registry"
    a_registry(path)
    return path


@pytest.fixture(scope="session")
def client(registry_path: Path) -> Iterator[Client]:
    """Return a client of an application that serves the champion in `registry_path`."""
    with a_client(registry_path) as client:
        yield client
