"""The group's generation and our member id, out of the client's opaque metadata."""

import struct

from sensorwatch.common.errors import MicroBatchAborted, Unrecoverable

_MAGIC = b"CGMDv2:"


def require_member(membership: bytes) -> None:
    """Refuse to commit when we are no member.

    A classic group accepts a transactional commit without generation and member id unfenced, so
    this check is half of the fencing. Raises MicroBatchAborted.
    """
    generation, member = parse_membership(membership)
    if generation < 0 or not member:
        raise MicroBatchAborted(f"no member of the group any more (generation {generation})")


def parse_membership(membership: bytes) -> tuple[int, str]:
    """Read generation and member id.

    Layout (librdkafka, rd_kafka_consumer_group_metadata_write): the magic, the generation as
    little-endian int32, then group id, member id and instance id, each ended by a NUL.
    """
    if not membership.startswith(_MAGIC) or len(membership) < len(_MAGIC) + 4:
        raise Unrecoverable(
            f"the client's group metadata {membership[:16]!r} is of a form this code does not know"
        )
    (generation,) = struct.unpack_from("<i", membership, len(_MAGIC))
    _group, member, *_rest = membership[len(_MAGIC) + 4 :].split(b"\0")
    return generation, member.decode()
