"""Model versions in a folder: stored once, verified before use, named by aliases that move."""
