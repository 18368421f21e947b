"""Merges the settings of the Kafka clients: defaults, the user's settings, and fixed keys."""

from collections.abc import Mapping
from typing import Any

from sensorwatch.common.errors import SettingsError

# Sources for each value: librdkafka's CONFIGURATION.md and docs/decisions.
_COMMON_DEFAULTS: dict[str, Any] = {
    "client.id": "sensorwatch",
    "reconnect.backoff.max.ms": 1000,
    "socket.keepalive.enable": True,
}
_ADMIN_DEFAULTS: dict[str, Any] = {
    # With "none", an admin client with an unanswered request uses most of a core until its brokers
    # are back (measured with 2.16).
    "metadata.recovery.strategy": "rebootstrap",
}
_NO_BOOTSTRAP_AGAIN: dict[str, Any] = {
    # With librdkafka's default, "rebootstrap", a client whose brokers were all down hangs in its
    # next transaction and ignores every timeout (measured with 2.16). Such a client also tries to
    # connect twenty times per second, and logs each attempt.
    "metadata.recovery.strategy": "none",
}
_CONSUMER_DEFAULTS: dict[str, Any] = {
    "session.timeout.ms": 10_000,
    "max.poll.interval.ms": 120_000,
    # With librdkafka's default of 1000 ms, fetching pauses for that time whenever the fetch queue
    # is full.
    "fetch.queue.backoff.ms": 10,
    "queued.max.messages.kbytes": 65_536,
    "check.crcs": True,
    "statistics.interval.ms": 5_000,
}
_CONSUMER_FIXED: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    # This level is needed even if the input has no transactions, because librdkafka asks for stable
    # offsets (KIP-447) only with read_committed.
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    "enable.partition.eof": False,
}
_GROUP_PROTOCOL_KEYS = {"group.protocol", "group.remote.assignor"}
_PRODUCER_DEFAULTS: dict[str, Any] = {
    "linger.ms": 5,
    "batch.size": 1_000_000,
    "compression.type": "lz4",
    "queue.buffering.max.kbytes": 131_072,
    # A key goes to the same partition as with Java clients.
    "partitioner": "murmur2_random",
}
_TRANSACTIONAL_DEFAULTS: dict[str, Any] = {
    "transaction.timeout.ms": 20_000,
    # If the broker has not yet ended the previous transaction, the client waits this time before it
    # tries again to begin the next one. The wait doubles with each retry. With librdkafka's default
    # of 100 ms, one row in twenty was late. The Java client waits 20 ms.
    "retry.backoff.ms": 20,
    # If the group's coordinator is killed, librdkafka (2.16) waits until any of its connections
    # changes (librdkafka issue 5511). Closing an idle connection counts as a change, so this limit
    # ends the wait. The limit is above the 9 s for which a broker waits for a killed follower, and
    # below the longest transaction.
    "connections.max.idle.ms": 10_000,
}
_PRODUCER_FIXED: dict[str, Any] = {"enable.idempotence": True}
_MAX_SHARE_OF_TIMEOUT = 0.8
_DEFAULT_MAX_MESSAGE_BYTES = 1_000_000


def client_config(kafka: Mapping[str, Any], **fixed: Any) -> dict[str, Any]:
    """Return the settings of an admin client.

    `fixed`: keys that the user cannot change, with `_` in place of `.` in their names.
    """
    return _merge_settings(
        _COMMON_DEFAULTS | _ADMIN_DEFAULTS,
        kafka,
        {name.replace("_", "."): value for name, value in fixed.items()},
    )


def consumer_config(kafka: Mapping[str, Any], *, group: str) -> dict[str, Any]:
    """Return the settings of the worker's consumer.

    Raises SettingsError if `kafka` changes a key that exactly-once depends on.
    """
    defaults = _COMMON_DEFAULTS | _NO_BOOTSTRAP_AGAIN | _CONSUMER_DEFAULTS
    if str(kafka.get("group.protocol", "classic")).lower() == "consumer":
        # With KIP-848, the broker sets the session timeout.
        del defaults["session.timeout.ms"]
    return _merge_settings(defaults, kafka, _CONSUMER_FIXED | {"group.id": group})


def reader_config(kafka: Mapping[str, Any], *, group: str) -> dict[str, Any]:
    """Return the settings of a consumer that commits no offsets, such as that of `tail`."""
    fixed_settings = _CONSUMER_FIXED | {
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
    # A reader joins no group, so the keys of the group protocols are omitted: librdkafka refuses
    # the keys of one group protocol if the other protocol is set.
    return _merge_settings(
        _COMMON_DEFAULTS | _NO_BOOTSTRAP_AGAIN | _CONSUMER_DEFAULTS,
        _without_keys(kafka, set(fixed_settings) | _GROUP_PROTOCOL_KEYS),
        fixed_settings,
    )


def producer_config(
    kafka: Mapping[str, Any], *, transactional_id: str | None = None
) -> dict[str, Any]:
    """Return the settings of an idempotent producer.

    The producer is transactional if `transactional_id` is given.

    Raises SettingsError if `kafka` changes a key that exactly-once depends on.
    """
    fixed_settings = dict(_PRODUCER_FIXED)
    defaults = _COMMON_DEFAULTS | _NO_BOOTSTRAP_AGAIN | _PRODUCER_DEFAULTS
    if transactional_id is not None:
        defaults |= _TRANSACTIONAL_DEFAULTS
        fixed_settings |= {"transactional.id": transactional_id}
    return _merge_settings(defaults, kafka, fixed_settings)


def max_message_bytes(kafka: Mapping[str, Any]) -> int:
    """Return the size of the largest message that a producer with these settings accepts."""
    return int(kafka.get("message.max.bytes", _DEFAULT_MAX_MESSAGE_BYTES))


def transaction_seconds(producer: Mapping[str, Any], *, max_seconds: float) -> float:
    """Return the longest allowed duration of a transaction, in seconds.

    The duration is well below the broker's transaction timeout, at which the broker aborts the
    transaction and fences the producer. For a fenced producer, the client reports the same error as
    if a second process used the transactional id.
    """
    return min(
        max_seconds, _MAX_SHARE_OF_TIMEOUT * float(producer["transaction.timeout.ms"]) / 1000
    )


def _merge_settings(
    defaults: Mapping[str, Any], kafka: Mapping[str, Any], fixed_settings: Mapping[str, Any]
) -> dict[str, Any]:
    for name, value in fixed_settings.items():
        user_value = kafka.get(name)
        if user_value is not None and str(user_value).lower() != str(value).lower():
            raise SettingsError(
                f'[kafka] "{name}" = {user_value!r} cannot be set: sensorwatch needs {value!r} '
                "(exactly-once depends on it); remove the key"
            )
    return {**defaults, **kafka, **fixed_settings}


def _without_keys(kafka: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in kafka.items() if name not in names}
