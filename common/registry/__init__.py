"""Model versions in a folder: immutable, verified before use, selected by aliases."""
