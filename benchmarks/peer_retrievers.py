"""Retrievers of LangChain, LlamaIndex and Haystack over passages, vectors and questions that they are given.

Started by `peers.py` with a folder: `work.json` holds `passages` (id, text), `questions` (the texts) and `depth`,
`passages.npy` and `questions.npy` their vectors, float32 of length 1. Writes `found.json`: by retriever, the ids
of the passages found for each question, best first. It needs no model: each library is handed the vectors as those
of its embedder. All settings that aren't named here are the libraries' own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Search = Callable[[str], Sequence[str]]
"""Ids of the passages found for a question, best first."""


class Work:
    """What is searched."""

    def __init__(self, folder: Path) -> None:
        read = json.loads((folder / "work.json").read_text(encoding="utf-8"))
        self.ids: list[str] = [passage["id"] for passage in read["passages"]]
        self.texts: list[str] = [passage["text"] for passage in read["passages"]]
        self.questions: list[str] = read["questions"]
        self.depth: int = read["depth"]
        self.vectors = np.load(folder / "passages.npy")
        self.of_question = dict(zip(self.questions, np.load(folder / "questions.npy"), strict=True))

    def embed(self, question: str) -> list[float]:
        """The vector of a question."""
        return [float(number) for number in self.of_question[question]]


def langchain(work: Work) -> Iterator[tuple[str, Search]]:
    """FAISS; and the ensemble with BM25, half and half."""
    from langchain_classic.retrievers import EnsembleRetriever  # type: ignore[import-not-found]
    from langchain_community.retrievers import BM25Retriever  # type: ignore[import-not-found]
    from langchain_community.vectorstores import FAISS  # type: ignore[import-not-found]
    from langchain_core.embeddings import Embeddings

    class Known(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise NotImplementedError

        def embed_query(self, text: str) -> list[float]:
            return work.embed(text)

    metadata = [{"id": id_} for id_ in work.ids]
    pairs = zip(work.texts, work.vectors.tolist(), strict=True)
    faiss = FAISS.from_embeddings(pairs, Known(), metadatas=metadata).as_retriever(search_kwargs={"k": work.depth})
    bm25 = BM25Retriever.from_texts(work.texts, metadatas=metadata, k=work.depth)
    ensemble = EnsembleRetriever(retrievers=[bm25, faiss], weights=[0.5, 0.5])
    for name, retriever in (("LangChain FAISS", faiss), ("LangChain ensemble", ensemble)):
        yield name, lambda text, by=retriever: [found.metadata["id"] for found in by.invoke(text)]


def llama_index(work: Work) -> Iterator[tuple[str, Search]]:
    """The vector store index; and its fusion with BM25 by reciprocal ranks, without questions by a model."""
    from llama_index.core import VectorStoreIndex  # type: ignore[import-not-found]
    from llama_index.core.base.embeddings.base import BaseEmbedding  # type: ignore[import-not-found]
    from llama_index.core.llms import MockLLM  # type: ignore[import-not-found]
    from llama_index.core.retrievers import QueryFusionRetriever  # type: ignore[import-not-found]
    from llama_index.core.schema import TextNode  # type: ignore[import-not-found]
    from llama_index.retrievers.bm25 import BM25Retriever  # type: ignore[import-not-found]

    class Known(BaseEmbedding):  # type: ignore[misc]
        def _get_query_embedding(self, query: str) -> list[float]:
            return work.embed(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return work.embed(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            raise NotImplementedError

    nodes = [
        TextNode(id_=id_, text=text, embedding=vector)
        for id_, text, vector in zip(work.ids, work.texts, work.vectors.tolist(), strict=True)
    ]
    index = VectorStoreIndex(nodes, embed_model=Known())
    vector = index.as_retriever(similarity_top_k=work.depth)
    bm25 = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=work.depth)
    fusion = QueryFusionRetriever(
        [vector, bm25],
        llm=MockLLM(),
        mode="reciprocal_rerank",
        num_queries=1,
        similarity_top_k=work.depth,
        use_async=False,
    )
    for name, retriever in (("LlamaIndex vector", vector), ("LlamaIndex fusion", fusion)):
        yield name, lambda text, by=retriever: [found.node.node_id for found in by.retrieve(text)]


def haystack(work: Work) -> Iterator[tuple[str, Search]]:
    """Embedding and BM25 in memory, joined by reciprocal ranks."""
    from haystack import Document  # type: ignore[import-not-found]
    from haystack.components.joiners import DocumentJoiner  # type: ignore[import-not-found]
    from haystack.components.retrievers.in_memory import (  # type: ignore[import-not-found]
        InMemoryBM25Retriever,
        InMemoryEmbeddingRetriever,
    )
    from haystack.document_stores.in_memory import InMemoryDocumentStore  # type: ignore[import-not-found]

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(
        [
            Document(id=id_, content=text, embedding=vector)
            for id_, text, vector in zip(work.ids, work.texts, work.vectors.tolist(), strict=True)
        ]
    )
    by_words = InMemoryBM25Retriever(store, top_k=work.depth)
    by_vector = InMemoryEmbeddingRetriever(store, top_k=work.depth)
    join = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=work.depth)

    def search(text: str) -> list[str]:
        found = [by_words.run(query=text), by_vector.run(query_embedding=work.embed(text))]
        return [one.id for one in join.run(documents=[each["documents"] for each in found])["documents"]]

    yield "Haystack hybrid", search


def main() -> None:
    folder = Path(sys.argv[1])
    work, found = Work(folder), {}
    for library in (langchain, llama_index, haystack):
        for name, search in library(work):
            found[name] = [list(search(question)) for question in work.questions]
    versions = {name: _version(name) for name in ("langchain-classic", "llama-index-core", "haystack-ai")}
    told: dict[str, Any] = {"found": found, "versions": versions}
    (folder / "found.json").write_text(json.dumps(told), encoding="utf-8")


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


if __name__ == "__main__":
    main()
