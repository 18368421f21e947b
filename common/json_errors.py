"""The errors of decoding JSON that another program may have written."""

import msgspec

UNREADABLE_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What `msgspec.json.decode` raises for bytes that are no JSON of the wanted type.

RecursionError: an unknown field contains thousands of nested arrays or objects.
"""
