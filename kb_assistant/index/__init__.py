"""Vector search by FAISS over the store's vectors."""
