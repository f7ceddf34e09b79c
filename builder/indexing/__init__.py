"""Choose, build and tune the indices of a staged version."""
