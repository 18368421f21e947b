"""Follows a model's champion alias and loads each new champion version."""

from collections.abc import Callable

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.aliases import CHAMPION, Aliases
from sensorwatch.common.registry.manifest import ModelVersion
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.scoring.detector import Detector


def _do_nothing(_: object) -> None:
    pass


class Champion:
    """Follows a model's champion alias; if a new version is refused, the loaded one stays in use.

    The constructor raises ModelRefused if no champion can be loaded. `on_loaded` is called with
    every loaded version, including the first. `on_refused` is called once for each write of the
    alias file after which the champion cannot be loaded.
    """

    def __init__(
        self,
        registry: Registry,
        name: str,
        *,
        on_loaded: Callable[[ModelVersion], None] = _do_nothing,
        on_refused: Callable[[ModelRefused], None] = _do_nothing,
    ) -> None:
        self._registry = registry
        self._name = name
        self._on_loaded = on_loaded
        self._on_refused = on_refused
        self._last_result: Aliases | str = registry.current_aliases(name)
        """The result of the last read of the alias file: the aliases, or the text of the error."""
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
            aliases = self._registry.current_aliases(self._name)
        except ModelRefused as refused:
            if self._last_result != str(refused):
                self._last_result = str(refused)
                self._on_refused(refused)
            return False
        if aliases == self._last_result:
            return False
        self._last_result = aliases
        return aliases.champion != self._version.manifest.id and self._load_champion(aliases)

    def _load_champion(self, aliases: Aliases) -> bool:
        try:
            version = self._registry.load(self._name, aliases.champion or CHAMPION)
        except ModelRefused as refused:
            self._on_refused(refused)
            return False
        self._version = version
        self._on_loaded(version)
        return True
