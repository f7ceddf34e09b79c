"""The towers of the demo model, and how they are trained."""
