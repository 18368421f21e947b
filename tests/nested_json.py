"""JSON with arrays nested so deeply that a decoder refuses it."""

DEEPLY_NESTED_JSON = b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
