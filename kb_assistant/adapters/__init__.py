"""LangChain adapters: a knowledge base as a retriever and as a vector store."""
