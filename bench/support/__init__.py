"""The parts that several benchmarks share, and what they share with the tests."""
