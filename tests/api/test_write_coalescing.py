import asyncio

from sensorwatch.api.write_coalescing import CoalescingTransport


class RecordingTransport(asyncio.Transport):
    """Remembers what was sent."""

    def __init__(self) -> None:
        super().__init__({"peername": "somebody"})
        self.sent: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.sent.append(b"closed")


def sent_packets(*turns: list[bytes], close: bool = False) -> list[bytes]:
    """What is sent where this is written, turn by turn of the event loop."""

    async def write() -> list[bytes]:
        transport = RecordingTransport()
        coalescing = CoalescingTransport(transport, asyncio.get_running_loop())
        for turn in turns:
            for data in turn:
                coalescing.write(data)
            if close:
                coalescing.close()
            await asyncio.sleep(0)
        return transport.sent

    return asyncio.run(write())


def test_head_and_body_are_sent_at_once() -> None:
    assert sent_packets([b"head ", b"body", b""]) == [b"head body"]


def test_every_turn_of_the_loop_sends_what_it_wrote() -> None:
    assert sent_packets([b"first"], [], [b"se", b"cond"]) == [b"first", b"second"]


def test_what_was_written_before_the_end_is_sent_before_it() -> None:
    assert sent_packets([b"last"], close=True) == [b"last", b"closed"]


def test_everything_else_is_the_transports_own() -> None:
    async def asked() -> object:
        return CoalescingTransport(RecordingTransport(), asyncio.get_running_loop()).get_extra_info(
            "peername"
        )

    assert asyncio.run(asked()) == "somebody"
