"""Readers that sources share: trees of files, archives, tables, CSV rows, sidecars."""
