"""The HTTP clients, and the arguments and results that they share with `Searcher`."""
