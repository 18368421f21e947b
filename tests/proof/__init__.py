"""Tests of the commands and functions that show and verify the ledger."""
