import asyncio

from sensorwatch.api.write_coalescing import CoalescingTransport


class RecordingTransport(asyncio.Transport):
    """A transport that records the bytes of each write."""

    def __init__(self) -> None:
        super().__init__({"peername": "a peer"})
        self.sent_data: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent_data.append(bytes(data))

    def close(self) -> None:
        self.sent_data.append(b"closed")


def sent_packets(*iterations: list[bytes], close: bool = False) -> list[bytes]:
    """Return the packets that the transport sends.

    `iterations`: the pieces of data that are written in each iteration of the event loop.
    """

    async def write() -> list[bytes]:
        transport = RecordingTransport()
        coalescing_transport = CoalescingTransport(transport, asyncio.get_running_loop())
        for iteration in iterations:
            for data in iteration:
                coalescing_transport.write(data)
            if close:
                coalescing_transport.close()
            await asyncio.sleep(0)
        return transport.sent_data

    return asyncio.run(write())


def test_head_and_body_are_sent_in_one_packet() -> None:
    assert sent_packets([b"head ", b"body", b""]) == [b"head body"]


def test_every_iteration_of_the_event_loop_sends_its_data_in_one_packet() -> None:
    assert sent_packets([b"first"], [], [b"se", b"cond"]) == [b"first", b"second"]


def test_data_written_before_close_is_sent_before_the_connection_closes() -> None:
    assert sent_packets([b"last"], close=True) == [b"last", b"closed"]


def test_other_methods_are_those_of_the_wrapped_transport() -> None:
    async def peer_name() -> object:
        return CoalescingTransport(RecordingTransport(), asyncio.get_running_loop()).get_extra_info(
            "peername"
        )

    assert asyncio.run(peer_name()) == "a peer"
