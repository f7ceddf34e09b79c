"""Which collections and versions are served."""
