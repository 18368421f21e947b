"""Verification of the ledger by scoring the input again."""
