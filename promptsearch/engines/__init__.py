"""Where nearest neighbours come from: FAISS files, or Milvus."""
