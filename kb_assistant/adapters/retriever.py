"""The knowledge base as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from kb_assistant.adapters.vectorstore import to_document
from kb_assistant.store import Chunk
from kb_assistant.types import Hit


class KnowledgeRetriever(BaseRetriever):
    """Hybrid search as `Runnable[str, list[Document]]`.

    Attributes:
        kb: The KnowledgeBase.
        k: Number of documents to find.
        where: Conditions on sources that all must hold, such as "type=pdf".
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kb: Any
    k: int = 5
    where: tuple[str, ...] = ()

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
        k: int | None = None,
        where: Iterable[str] | None = None,
    ) -> list[Document]:
        hits = self.kb.search(query, self.k if k is None else k, where=self.where if where is None else where)
        with self.kb.store.read() as snapshot:
            chunks = {chunk.id: chunk for chunk in snapshot.chunks([hit.id for hit in hits])}
        return [_document(hit, chunks.get(hit.id)) for hit in hits]


def _document(hit: Hit, chunk: Chunk | None) -> Document:
    """A hit in the vector store's form, with its scores. A chunk removed meanwhile has no metadata."""
    scores = {"score": hit.score, "similarity": hit.similarity}
    if chunk is None:
        return Document(hit.text, id=hit.id, metadata={"source": hit.source, **hit.locator.to_json(), **scores})
    return to_document(chunk, **scores)
