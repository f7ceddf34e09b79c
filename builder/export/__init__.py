"""Checkpoints to ONNX model bundles."""
