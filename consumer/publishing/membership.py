"""Reads generation and member id from the client's opaque group metadata."""

import struct

from sensorwatch.common.errors import MicroBatchAborted, Unrecoverable

_MAGIC = b"CGMDv2:"


def require_member(membership: bytes) -> None:
    """Raise MicroBatchAborted if this client is not a member of the group.

    Without this check, a classic group would accept, and not fence, a transactional commit that has
    no generation and no member id.
    """
    generation, member_id = parse_membership(membership)
    if generation < 0 or not member_id:
        raise MicroBatchAborted(
            f"this client is no longer a member of the group (generation {generation})"
        )


def parse_membership(membership: bytes) -> tuple[int, str]:
    """Return the generation and the member id; raises Unrecoverable if the layout is unknown.

    librdkafka defines the layout in rd_kafka_consumer_group_metadata_write: the magic, the
    generation as little-endian int32, then group id, member id and instance id, each followed by a
    NUL.
    """
    if not membership.startswith(_MAGIC) or len(membership) < len(_MAGIC) + 4:
        raise Unrecoverable(
            f"the client's group metadata starts with {membership[:16]!r} instead of {_MAGIC!r}: "
            "this version of confluent-kafka is not supported"
        )
    (generation,) = struct.unpack_from("<i", membership, len(_MAGIC))
    _group_id, member_id, *_remaining_parts = membership[len(_MAGIC) + 4 :].split(b"\0")
    return generation, member_id.decode()
