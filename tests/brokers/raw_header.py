"""A record with a header that the Python client cannot send, because its name is not UTF-8."""

import ctypes

from tests.brokers.librdkafka import PRODUCER_TYPE, librdkafka

# Tags of rd_kafka_vtype_t (src/rdkafka.h).
_END, _TOPIC, _PARTITION, _VALUE, _FLAGS, _HEADER = 0, 1, 3, 4, 7, 9
_COPY = 2
_DEADLINE_MS = 10_000


def produce_with_header(
    address: str, topic: str, value: bytes, *, partition: int, name: bytes, content: bytes
) -> None:
    """Send one record with one header, and wait for its delivery."""
    library = librdkafka()
    error_buffer = ctypes.create_string_buffer(512)
    conf = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(
        conf, b"bootstrap.servers", address.encode(), error_buffer, len(error_buffer)
    )
    producer = library.rd_kafka_new(PRODUCER_TYPE, conf, error_buffer, len(error_buffer))
    assert producer, error_buffer.value
    text, size, signed = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_ssize_t
    try:
        failed = library.rd_kafka_producev(
            producer,
            *(_TOPIC, text(topic.encode())),
            *(_PARTITION, ctypes.c_int32(partition)),
            *(_FLAGS, _COPY),
            *(_VALUE, text(value), size(len(value))),
            *(_HEADER, text(name), text(content), signed(len(content))),
            _END,
        )
        assert failed == 0, failed
        assert library.rd_kafka_flush(producer, _DEADLINE_MS) == 0
    finally:
        library.rd_kafka_destroy(producer)
