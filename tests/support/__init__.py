"""Shared by the tests of all packages: sources, vectors, servers and processes."""
