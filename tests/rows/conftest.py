"""The fixtures of the tests of rows."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Disable garbage collection, whose time depends on the objects of other tests."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
