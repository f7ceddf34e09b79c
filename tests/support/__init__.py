"""Shared by the tests of all rooms: sources, vectors, servers and processes."""
