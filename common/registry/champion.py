"""The detector now in force."""

from collections.abc import Callable

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.aliases import CHAMPION, Aliases
from sensorwatch.common.registry.manifest import ModelVersion
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.scoring.detector import Detector


def _ignore(_: object) -> None:
    pass


class Champion:
    """Follows a model's champion alias; a version that is refused never replaces a good one.

    Raises ModelRefused at construction where there is no usable champion. `on_loaded` is called
    with every version put in force, the first one too; `on_refused` once each time the aliases
    are written and cannot be followed.
    """

    def __init__(
        self,
        registry: Registry,
        name: str,
        *,
        on_loaded: Callable[[ModelVersion], None] = _ignore,
        on_refused: Callable[[ModelRefused], None] = _ignore,
    ) -> None:
        self._registry = registry
        self._name = name
        self._on_loaded = on_loaded
        self._on_refused = on_refused
        self._last_seen: Aliases | str = registry.current_aliases(name)
        """What the last look saw: the aliases, or why they could not be read."""
        self._version = registry.load(name)
        on_loaded(self._version)

    def current(self) -> Detector:
        """Return the detector in force."""
        return self._version.detector

    @property
    def version(self) -> ModelVersion:
        """The version in force."""
        return self._version

    def refresh(self) -> bool:
        """Look at the aliases once, cheaply, and follow; True when another version is in force."""
        try:
            seen = self._registry.current_aliases(self._name)
        except ModelRefused as refused:
            if self._last_seen != str(refused):
                self._last_seen = str(refused)
                self._on_refused(refused)
            return False
        if seen == self._last_seen:
            return False
        self._last_seen = seen
        return seen.champion != self._version.manifest.id and self._load_champion(seen)

    def _load_champion(self, seen: Aliases) -> bool:
        try:
            version = self._registry.load(self._name, seen.champion or CHAMPION)
        except ModelRefused as refused:
            self._on_refused(refused)
            return False
        self._version = version
        self._on_loaded(version)
        return True
