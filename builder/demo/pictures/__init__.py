"""Emoji drawings: rendered, restyled, augmented."""
