"""Offline: sources to vectors to indices to a published collection, and CLIP checkpoints to model bundles."""
