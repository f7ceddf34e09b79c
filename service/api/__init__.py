"""Routes, and how requests become queries."""
