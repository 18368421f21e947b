"""The champion version, followed while it changes."""

from collections.abc import Callable

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.aliases import CHAMPION, Aliases
from sensorwatch.common.registry.manifest import ModelVersion
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.scoring.detector import Detector


def _ignore(_: object) -> None:
    pass


class Champion:
    """Follows a model's champion alias; a refused version never replaces a good one.

    The constructor raises ModelRefused if there is no usable champion. `on_loaded` is called with
    every version that is loaded, including the first. `on_refused` is called once for each write of
    the aliases that cannot be followed.
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
        """The last result of reading the aliases: the aliases, or the error text."""
        self._version = registry.load(name)
        on_loaded(self._version)

    def current(self) -> Detector:
        """Return the detector of the loaded version."""
        return self._version.detector

    @property
    def version(self) -> ModelVersion:
        """The loaded version."""
        return self._version

    def refresh(self) -> bool:
        """Read the alias file once and load a new champion; return True if the version changed."""
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
