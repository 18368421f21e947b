"""The settings of the Kafka clients: ours below the user's, except those a promise rests on."""

from collections.abc import Mapping
from typing import Any

from sensorwatch.common.errors import SettingsError

# Sources for each value: librdkafka's CONFIGURATION.md and docs/decisions.
_COMMON: dict[str, Any] = {
    "client.id": "sensorwatch",
    "reconnect.backoff.max.ms": 1000,
    # With librdkafka's default, "rebootstrap" (measured, 2.16), a client whose brokers were all
    # away hangs for good in the next transaction, past every timeout, and it tries to connect, and
    # logs that, twenty times a second.
    "metadata.recovery.strategy": "none",
    "socket.keepalive.enable": True,
}
_CONSUMER: dict[str, Any] = {
    "session.timeout.ms": 10_000,
    "max.poll.interval.ms": 120_000,
    # librdkafka's default of 1000 ms stalls fetching whenever its queue is full.
    "fetch.queue.backoff.ms": 10,
    "queued.max.messages.kbytes": 65_536,
    "check.crcs": True,
    "statistics.interval.ms": 5_000,
}
_CONSUMER_FIXED: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    # Also on a plain input: only then does librdkafka ask for stable offsets (KIP-447).
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    "enable.partition.eof": False,
}
_GROUP_PROTOCOL_KEYS = {"group.protocol", "group.remote.assignor"}
_PRODUCER: dict[str, Any] = {
    "linger.ms": 5,
    "batch.size": 1_000_000,
    "compression.type": "lz4",
    "queue.buffering.max.kbytes": 131_072,
    # The same key goes to the same partition as with Java clients.
    "partitioner": "murmur2_random",
}
_TRANSACTIONAL: dict[str, Any] = {
    "transaction.timeout.ms": 20_000,
    # The wait before a transaction begins again, if the broker has not yet ended the previous one.
    # It doubles with each retry. librdkafka's default of 100 ms delayed every twentieth row. The
    # Java client waits 20 ms.
    "retry.backoff.ms": 20,
    # If the group's coordinator is killed, librdkafka (2.16) waits for it until any connection
    # changes (its issue 5511). Closing idle connections is such a change. It takes longer than a
    # broker waits for a follower that was killed (9 s), and less than a transaction may last.
    "connections.max.idle.ms": 10_000,
}
_PRODUCER_FIXED: dict[str, Any] = {"enable.idempotence": True}
_SHARE_OF_TIMEOUT = 0.8


def client_config(kafka: Mapping[str, Any], **fixed: Any) -> dict[str, Any]:
    """Return the settings of an admin client."""
    return _merge(_COMMON, kafka, {name.replace("_", "."): value for name, value in fixed.items()})


def consumer_config(kafka: Mapping[str, Any], *, group: str) -> dict[str, Any]:
    """Return the settings of the worker's consumer.

    Raises SettingsError if `kafka` changes a key that exactly-once depends on.
    """
    defaults = _COMMON | _CONSUMER
    if str(kafka.get("group.protocol", "classic")).lower() == "consumer":
        # With KIP-848, the broker sets the session timeout.
        del defaults["session.timeout.ms"]
    return _merge(defaults, kafka, _CONSUMER_FIXED | {"group.id": group})


def reader_config(kafka: Mapping[str, Any], *, group: str) -> dict[str, Any]:
    """Return the settings of a reader that commits nothing: `tail`, `ledger`, training."""
    fixed = _CONSUMER_FIXED | {
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
    # A reader joins no group. librdkafka refuses the keys of one group protocol with the other.
    return _merge(_COMMON | _CONSUMER, _without(kafka, set(fixed) | _GROUP_PROTOCOL_KEYS), fixed)


def producer_config(
    kafka: Mapping[str, Any], *, transactional_id: str | None = None
) -> dict[str, Any]:
    """Return the settings of an idempotent producer; with an id it is transactional.

    Raises SettingsError if `kafka` changes a key that exactly-once depends on.
    """
    fixed = dict(_PRODUCER_FIXED)
    defaults = _COMMON | _PRODUCER
    if transactional_id is not None:
        defaults |= _TRANSACTIONAL
        fixed |= {"transactional.id": transactional_id}
    return _merge(defaults, kafka, fixed)


def transaction_seconds(producer: Mapping[str, Any], *, at_most: float) -> float:
    """Return the longest allowed duration of a transaction, in seconds.

    It is well below the broker's timeout. At the timeout the broker aborts the transaction and
    fences the producer, which looks the same as another process with the same id.
    """
    return min(at_most, _SHARE_OF_TIMEOUT * float(producer["transaction.timeout.ms"]) / 1000)


def _merge(
    defaults: Mapping[str, Any], kafka: Mapping[str, Any], fixed: Mapping[str, Any]
) -> dict[str, Any]:
    for name, value in fixed.items():
        requested = kafka.get(name)
        if requested is not None and str(requested).lower() != str(value).lower():
            raise SettingsError(
                f'[kafka] "{name}" = {requested!r} cannot be set: sensorwatch needs {value!r} '
                "(exactly-once depends on it); remove the key"
            )
    return {**defaults, **kafka, **fixed}


def _without(kafka: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in kafka.items() if name not in names}
