"""Model bundles, and how texts and pictures become vectors."""
