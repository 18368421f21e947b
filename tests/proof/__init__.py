"""The ledger shown and verified."""
