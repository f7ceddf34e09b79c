"""Captions and senses of emojis, and the sentence model that teaches them."""
