"""Model bundles, and the encoding of texts and pictures as vectors."""
