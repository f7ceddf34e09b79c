"""Tests of `builder/`."""
