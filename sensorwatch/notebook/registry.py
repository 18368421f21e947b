"""Access the model registry from notebooks."""

from pathlib import Path

from sensorwatch.common.errors import UsageError
from sensorwatch.common.registry.aliases import CHAMPION
from sensorwatch.common.registry.model_names import current_user
from sensorwatch.common.registry.store import Registry as Store
from sensorwatch.notebook.frame_detector import Detector


class Registry:
    """Loads and registers detectors in a registry folder.

    >>> import tempfile
    >>> registry = Registry(tempfile.mkdtemp())
    >>> registry.names()
    []
    """

    def __init__(self, path: str | Path = "registry") -> None:
        self._store = Store(Path(path))

    def names(self) -> list[str]:
        """Return the names of the models."""
        return self._store.names()

    def versions(self, name: str = "default") -> list[str]:
        """Return the version ids of a model, with the oldest version first."""
        return self._store.version_ids(name)

    def champion(self, name: str = "default") -> Detector:
        """Return the champion of a model. Raises ModelRefused if there is no champion."""
        return self.load(CHAMPION, name)

    def load(self, version: str, name: str = "default") -> Detector:
        """Load and verify the version with this id or alias.

        Raises ModelRefused if it is damaged or missing.
        """
        return Detector(self._store.load(name, version).detector)

    def register(self, detector: Detector, name: str = "default", reason: str = "notebook") -> str:
        """Store a trained detector as a new version and return its id.

        The first version of a model becomes its champion. Raises UsageError if the detector was not
        trained in this process.
        """
        if detector.candidate is None:
            raise UsageError(f"{detector.version} is in a registry already: train a new detector")
        return self._store.register(name, detector.candidate, who=current_user(), why=reason)
