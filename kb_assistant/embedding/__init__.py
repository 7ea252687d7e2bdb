"""Encoders: texts and questions as vectors, and the reranker."""
