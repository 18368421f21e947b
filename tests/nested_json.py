"""JSON that a decoder cannot read, because its arrays are nested too deeply."""

DEEPLY_NESTED = b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
