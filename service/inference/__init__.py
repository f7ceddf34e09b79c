"""Batched encoding, and worker threads."""
