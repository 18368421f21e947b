"""The group membership of a client is parsed; a client without a membership cannot commit."""

import struct

import pytest
from confluent_kafka import Consumer

from sensorwatch.common.errors import MicroBatchAborted, Unrecoverable
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.consumer.publishing.membership import parse_membership, require_member


def a_membership(generation: int, member_id: str = "member-1") -> bytes:
    return (
        b"CGMDv2:" + struct.pack("<i", generation) + b"group\0" + member_id.encode() + b"\0" + b"\0"
    )


def test_generation_and_member_id_are_parsed() -> None:
    assert parse_membership(a_membership(7, "märz")) == (7, "märz")


def test_a_member_may_commit() -> None:
    require_member(a_membership(0))


@pytest.mark.parametrize(
    "membership", [a_membership(-1), a_membership(3, ""), a_membership(-1, "")]
)
def test_a_client_that_is_not_a_member_may_not_commit(membership: bytes) -> None:
    with pytest.raises(MicroBatchAborted, match="no longer a member"):
        require_member(membership)


def test_a_client_that_has_not_joined_has_no_generation() -> None:
    """The test fails if the installed Kafka client encodes the membership in another way."""
    with Consumer({"group.id": "g"}, logger=silent_logger()) as consumer:
        membership = consumer.consumer_group_metadata()

    assert parse_membership(membership) == (-1, "")


@pytest.mark.parametrize("membership", [b"", b"CGMDv2:", b"CGMDv3:" + bytes(20), b"CGMDv2:\1\0\0"])
def test_an_unknown_layout_ends_the_process(membership: bytes) -> None:
    with pytest.raises(Unrecoverable, match="not supported"):
        require_member(membership)
