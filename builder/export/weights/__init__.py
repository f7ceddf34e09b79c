"""The weights in checkpoint files, read without running anything in them."""
