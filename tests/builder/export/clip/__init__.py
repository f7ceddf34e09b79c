"""Tests of exports without PyTorch: files, graphs and the NumPy reference."""
