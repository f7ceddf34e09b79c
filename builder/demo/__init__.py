"""The demo: emoji pictures and the small CLIP model that is trained from scratch on them."""
