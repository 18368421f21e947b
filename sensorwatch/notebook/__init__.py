"""The Python interface for notebooks: pandas in, pandas out."""
