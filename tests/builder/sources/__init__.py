"""Tests of `builder/sources/`."""
