"""The account of an input partition."""
