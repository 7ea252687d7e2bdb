"""The knowledge base as a LangChain VectorStore, for tools with their own documents.

A document added here is a separate source, `document:ID`, with one chunk; ingesting folders doesn't touch it.
Searches find both these documents and ingested files.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from kb_assistant.store import DOCUMENT_PREFIX as _PREFIX
from kb_assistant.store import Chunk, KnowledgeStore, Source, Text

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class DocumentBase(Protocol):
    """The interface that the vector store needs of a KnowledgeBase."""

    @property
    def embedder(self) -> Embeddings: ...

    @property
    def store(self) -> KnowledgeStore: ...

    def as_vectorstore(self) -> object: ...

    def put_texts(self, sources: Sequence[tuple[Source, Text]]) -> None: ...

    def forget_sources(self, paths: Sequence[str]) -> None: ...

    def sources(self) -> list[Source]: ...

    def nearest(self, question: str, k: int, where: Iterable[str] = ()) -> list[tuple[Chunk, float]]: ...


def to_document(chunk: Chunk, **more: Any) -> Document:
    """A chunk as a LangChain Document: with its source's metadata and its place."""
    if chunk.source.startswith(_PREFIX):
        return Document(
            chunk.text.body, id=chunk.source.removeprefix(_PREFIX), metadata={**chunk.metadata, **more}
        )
    place = {"source": chunk.source, **chunk.locator.to_json()}
    return Document(chunk.text.body, id=chunk.id, metadata={**chunk.metadata, **place, **more})


Filter = Mapping[str, Any] | Iterable[str]
"""Metadata that a document must have, or conditions on its source."""


def _conditions(wanted: Filter | None) -> list[str]:
    if isinstance(wanted, Mapping):
        return [f"{field}={value}" for field, value in wanted.items()]
    return list(wanted or ())


class KnowledgeVectorStore(VectorStore):
    """Adds, finds, gets and deletes LangChain documents in a knowledge base."""

    def __init__(self, kb: DocumentBase) -> None:
        self._kb = kb

    @property
    def embeddings(self) -> Embeddings:
        """The knowledge base's embedding model."""
        return self._kb.embedder

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **_: Any,
    ) -> list[str]:
        """Add or replace documents in one transaction.

        Args:
            texts: Each becomes one chunk; the embedder truncates what exceeds its window.
            metadatas: JSON values, one dictionary per text.
            ids: One per text; generated if missing. A document with a known id is replaced.

        Returns:
            The ids.
        """
        bodies = [Text("", text) for text in texts]
        names = [given or str(uuid.uuid4()) for given in ids or [""] * len(bodies)]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        sources = [
            (_source(name, text, metadata, now), text)
            for name, text, metadata in zip(names, bodies, metadatas or [{}] * len(bodies), strict=True)
        ]
        self._kb.put_texts(sources)
        return names

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool | None:
        """Delete documents by id; unknown ids are ignored. Without ids all documents are deleted."""
        known = [source.path for source in self._kb.sources() if source.path.startswith(_PREFIX)]
        wanted = known if ids is None else [_PREFIX + name for name in ids if _PREFIX + name in known]
        self._kb.forget_sources(wanted)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Documents and chunks of ingested files by id; unknown ids are left out."""
        with self._kb.store.read() as snapshot:
            found = [chunk for name in ids for chunk in snapshot.chunks_of_source(_PREFIX + name)]
            found += snapshot.chunks(ids)
        return [to_document(chunk) for chunk in found]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The k documents nearest in meaning, nearest first; all copies of equal texts are returned.

        Args:
            kwargs: `filter`, the metadata that documents must have: {"author": "Li", "type": "pdf"}, or conditions
                as for KnowledgeBase.search: ["date>=2024"].

        Raises:
            QuestionError: a condition has another form.
        """
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Filter | None = None, **_: Any
    ) -> list[tuple[Document, float]]:
        """The same, with cosines."""
        ranked = self._kb.nearest(query, k, _conditions(filter))
        return [(to_document(chunk), score) for chunk, score in ranked][:k]

    @classmethod
    def from_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: list[dict[str, Any]] | None = None, **kwargs: Any
    ) -> KnowledgeVectorStore:
        """A vector store over `kb=KnowledgeBase(...)`, which has its own embedding model.

        Raises:
            ValueError: no `kb` is given, or `embedding` isn't the model it was built with.
        """
        kb: DocumentBase | None = kwargs.get("kb")
        if kb is None or embedding is not kb.embedder:
            raise ValueError("Pass kb=KnowledgeBase(...) and embedding=kb.embedder.")
        kb.as_vectorstore()  # creates it on disk if missing
        made = cls(kb)
        made.add_texts(texts, metadatas, ids=kwargs.get("ids"))
        return made


def _source(name: str, text: Text, metadata: dict[str, Any], now: str) -> Source:
    digest = hashlib.sha256(text.body.encode()).hexdigest()
    return Source(_PREFIX + name, digest, "document", "", "", False, now, 1, metadata)
