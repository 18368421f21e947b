"""Kernels that read rows and write times; the strict parser defines which rows are valid."""
