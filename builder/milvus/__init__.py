"""A published version into Milvus: `python -m builder publish --to milvus`."""
