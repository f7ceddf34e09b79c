"""What image generators write into their pictures, read without trust in any of it."""
