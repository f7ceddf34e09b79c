"""Problem documents, headers and limits of HTTP itself."""
