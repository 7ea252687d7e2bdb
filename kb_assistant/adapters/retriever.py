"""The knowledge base as a LangChain retriever."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from kb_assistant.types import Hit


class KnowledgeRetriever(BaseRetriever):
    """Hybrid search as `Runnable[str, list[Document]]`.

    Attributes:
        kb: The KnowledgeBase.
        k: Documents to find.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kb: Any
    k: int = 5

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
        k: int | None = None,
    ) -> list[Document]:
        return [_document(hit) for hit in self.kb.search(query, k or self.k)]


def _document(hit: Hit) -> Document:
    metadata = {"source": hit.source, **hit.locator.to_json(), "score": hit.score, "similarity": hit.similarity}
    return Document(hit.text, id=hit.id, metadata=metadata)
