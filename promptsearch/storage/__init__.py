"""The files of a collection version: manifest, items, fields, full-text index, thumbnails, raw metadata."""
