"""Find anomalies in sensor streams. Notebooks import Detector, Registry and read_rows."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensorwatch.notebook.frame_detector import Detector
    from sensorwatch.notebook.registry import Registry
    from sensorwatch.notebook.rows import read_rows

__all__ = ["Detector", "Registry", "read_rows"]

_MODULE_BY_NAME = {"Detector": "frame_detector", "Registry": "registry", "read_rows": "rows"}


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` only at its first use, because the commands need none of them."""
    if name not in _MODULE_BY_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"sensorwatch.notebook.{_MODULE_BY_NAME[name]}"), name)
