"""Published weights: their names, and their download."""
