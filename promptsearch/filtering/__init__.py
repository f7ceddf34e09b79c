"""Filters on fields: their syntax, their conditions, and the rows that they match."""
