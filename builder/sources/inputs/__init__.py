"""What sources are read from: trees of files, archives, tables, CSV rows, sidecars."""
