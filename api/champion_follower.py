"""Load new champions in the background, so that no request waits for a model to load."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from anyio import to_thread

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.registry.manifest import ModelVersion
from sensorwatch.common.registry.policy_follower import PolicyFollower
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.metrics import ModelMetrics
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.warmup import load_kernels

POLL_INTERVAL_SECONDS = 1.0

_log = logger("api")


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """The model version that answers requests, and the time when it was loaded."""

    version: ModelVersion
    loaded_at: datetime
    detector: Detector
    """The detector of the version, under the policy in force."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ChampionFollower:
    """Loads each new champion and policy of a model; keeps the last valid ones to serve requests.

    The follower can start before the model has a champion. It adopts a new policy as a worker does,
    at most once a minute. Without a readable policy at the start, no version is served.
    """

    def __init__(
        self,
        registry: Registry,
        policies: PolicyRegistry,
        name: str,
        metrics: ModelMetrics,
        *,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._registry, self._name, self._metrics, self._now = registry, name, metrics, now
        self._policies = policies
        self._champion: Champion | None = None
        self._policy: PolicyFollower | None = None
        self.served_version: ServedVersion | None = None
        """The served version, or None until a version is loaded.

        Read this attribute only once per request, because it can change at any time."""
        self.refusal_reason: str | None = None
        """The reason why the current champion is not served, or None if it is served."""

    def check_once(self) -> None:
        """Check once for a new policy and a new champion, and load them; this may take seconds."""
        try:
            self._check_policy()
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
        except ModelRefused as error:
            self._on_refused(error)

    async def run(self) -> None:
        """Check for a new champion periodically, in a thread, until the task is cancelled."""
        while True:
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
            await to_thread.run_sync(self.check_once)

    def _check_policy(self) -> None:
        """Adopt the policy in force. Raises ModelRefused if the first one cannot be loaded."""
        if self._policy is None:
            self._policy = PolicyFollower(
                self._policies,
                on_adopted=_log_adopted_policy,
                on_refused=_log_refused_policy,
            )
        elif self._policy.refresh() and self.served_version is not None:
            detector = self._under_policy(self.served_version.version)
            self.served_version = replace(self.served_version, detector=detector)

    def _under_policy(self, version: ModelVersion) -> Detector:
        policy = None if self._policy is None else self._policy.current()
        return version.detector.under(policy)

    def _on_loaded(self, version: ModelVersion) -> None:
        load_kernels(version.detector)
        loaded_at = self._now()
        self.served_version = ServedVersion(version, loaded_at, self._under_policy(version))
        self.refusal_reason = None
        manifest = version.manifest
        self._metrics.loaded(
            model=manifest.name,
            version=manifest.id,
            schema=manifest.schema_fingerprint,
            blind_signals=len(manifest.blind_signals),
            at=loaded_at.timestamp(),
        )
        _log.info("model loaded", model=manifest.name, version=manifest.id)

    def _on_refused(self, error: ModelRefused) -> None:
        self._metrics.reload_last_success.set(0)
        if self.refusal_reason == str(error):
            return
        self.refusal_reason = str(error)
        if self.served_version is None:
            _log.warning("no model to serve yet", model=self._name, reason=self.refusal_reason)
        else:
            served_version = self.served_version.version.manifest.id
            _log.error(
                "model refused, the last valid version stays in use",
                kept=served_version,
                reason=self.refusal_reason,
            )

    def _clear_refusal(self) -> None:
        """Forget an earlier refusal if the champion alias names the served version again."""
        if self.refusal_reason is None or self.served_version is None:
            return
        if (
            self._registry.current_aliases(self._name).champion
            == self.served_version.version.manifest.id
        ):
            self.refusal_reason = None
            self._metrics.reload_last_success.set(1)
            _log.info("the champion is the served version again")


def _log_adopted_policy(policy: AlarmPolicy | None) -> None:
    if policy is not None:
        _log.info("policy adopted", policy=policy.id)


def _log_refused_policy(error: ModelRefused) -> None:
    _log.error("policy refused, the last good policy stays in force", why=str(error))
