"""Parsing of payloads and CSV cells into readings; bad rows become rejections."""
