"""The pages and charts that the benchmarks write."""
