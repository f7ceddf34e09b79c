"""Filters on fields: their syntax, their conditions, the rows they leave."""
