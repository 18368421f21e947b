"""Load new champions in the background, so that no request waits for a model to load."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from anyio import to_thread

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.registry.manifest import ModelVersion
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.kernel_progress import compile_ahead
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.metrics import ModelMetrics
from sensorwatch.common.scoring.warmup import load_kernels

POLL_INTERVAL_SECONDS = 1.0

_log = logger("api")


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """The version that answers requests, and its load time."""

    version: ModelVersion
    loaded_at: datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ChampionFollower:
    """Loads each new champion of a model, and keeps the last valid one to serve requests.

    It can start before there is a champion.
    """

    def __init__(
        self,
        registry: Registry,
        name: str,
        metrics: ModelMetrics,
        *,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._registry, self._name, self._metrics, self._now = registry, name, metrics, now
        self._champion: Champion | None = None
        self.served: ServedVersion | None = None
        """The served version, or None. Read it once per request, because it can change."""
        self.refused: str | None = None
        """The reason why the champion is not served, or None."""

    def look(self) -> None:
        """Check once for a new champion. Load and verify it, which may take seconds."""
        try:
            if self._champion is None:
                self._champion = Champion(
                    self._registry,
                    self._name,
                    on_loaded=self._on_loaded,
                    on_refused=self._on_refused,
                )
            else:
                self._champion.refresh()
                self._clear_refusal()
        except ModelRefused as refused:
            self._on_refused(refused)

    async def run(self) -> None:
        """Check for a new champion periodically, in a thread, until the task is cancelled."""
        while True:
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
            await to_thread.run_sync(self.look)

    def _on_loaded(self, version: ModelVersion) -> None:
        compile_ahead()
        load_kernels(version.detector)
        loaded_at = self._now()
        self.served, self.refused = ServedVersion(version, loaded_at), None
        manifest = version.manifest
        self._metrics.loaded(
            model=manifest.name,
            version=manifest.id,
            schema=manifest.schema_fingerprint,
            at=loaded_at.timestamp(),
        )
        _log.info("model loaded", model=manifest.name, version=manifest.id)

    def _on_refused(self, refused: ModelRefused) -> None:
        self._metrics.reload_last_success.set(0)
        if self.refused == str(refused):
            return
        self.refused = str(refused)
        if self.served is None:
            _log.warning("no model to serve yet", model=self._name, reason=self.refused)
        else:
            served_version = self.served.version.manifest.id
            _log.error(
                "model refused, the last valid version stays in use",
                kept=served_version,
                reason=self.refused,
            )

    def _clear_refusal(self) -> None:
        """Clear the refusal if the champion alias points to the served version again."""
        if self.refused is None or self.served is None:
            return
        if self._registry.current_aliases(self._name).champion == self.served.version.manifest.id:
            self.refused = None
            self._metrics.reload_last_success.set(1)
            _log.info("the champion is the served version again")
