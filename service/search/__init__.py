"""The computation behind a search request."""
