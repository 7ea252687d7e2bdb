"""LangChain's doors: this knowledge base as a retriever and as a vector store."""
