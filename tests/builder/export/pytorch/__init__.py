"""Tests of what needs PyTorch: exports, and what their tokens, pixels and vectors are compared with."""
