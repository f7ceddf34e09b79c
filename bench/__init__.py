"""Benchmarks: scripts that write the pages in `bench/results/` and `docs/`."""
