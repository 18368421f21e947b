"""The exceptions that can occur when JSON from another program is decoded."""

import msgspec

UNREADABLE_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The exceptions of `msgspec.json.decode` for bytes that are not JSON of the wanted type.

RecursionError occurs if an unknown field contains thousands of nested arrays or objects.
"""
