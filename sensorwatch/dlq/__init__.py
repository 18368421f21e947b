"""Dead letters: list them by reason, show one, and replay them into the input topic."""
