"""Collections and models in object stores, mirrored to this disk."""
