"""Parsing of payloads and CSV cells to columns of readings; bad rows become rejections."""
