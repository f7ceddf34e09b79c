"""Decode and encode pictures and prompts into a staged version."""
