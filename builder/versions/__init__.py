"""Versions of a collection: staging, publishing, verifying, hiding, deleting."""
