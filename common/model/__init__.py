"""What a model version stores, and the checks of it."""
