"""A search: plan, run, respond."""
