"""Files as rows: opening, text, tables and lines of JSON."""
