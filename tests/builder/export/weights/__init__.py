"""Tests of the reader of checkpoint files."""
