"""Tests of `promptsearch/`."""
