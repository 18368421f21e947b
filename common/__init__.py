"""The shared core: one meaning of a row for trainer, consumer and API."""
