"""Measurements of the demo: its model, and what it answers."""
