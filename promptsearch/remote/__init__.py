"""Collections and models in object stores, and their local copies."""
