"""The HTTP routes. A handler validates, calls one function and returns a schema."""
