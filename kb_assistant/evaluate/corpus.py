"""A set's documents as a knowledge base: embedded once, kept in the home, updated when the set changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.documents import Document

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.datasets import EvalSet
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store import DOCUMENT_PREFIX
from kb_assistant.types import Hit, Report

if TYPE_CHECKING:
    from kb_assistant.embedding.base import TextEmbeddings
    from kb_assistant.types import Progress


def open_corpus(data: EvalSet, settings: Settings, embedder: TextEmbeddings | None = None) -> KnowledgeBase:
    """The knowledge base for a set's documents, in the home's folder `eval`; `fill` puts them in.

    Args:
        settings: Of the home, whose models and adapters it uses.
        embedder: Used instead of the settings' embedder.
    """
    name = re.sub(r"[^\w-]", "-", data.name)[:40].strip("-") or "set"
    place = hashlib.sha256(str(data.folder).encode("utf-8", "replace")).hexdigest()[:8]
    own = settings.but(home=settings.home / "eval", kb=f"{name}-{place}")
    return KnowledgeBase(own, embedder=embedder, models=settings)


def fill(
    kb: KnowledgeBase,
    data: EvalSet,
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Synchronize the knowledge base with a set's documents, one source `document:ID` each.

    Raises:
        DatasetError: the set's corpus has the wrong form, or it was stopped before everything was embedded.
    """
    documents = [
        Document(document.text, id=document.id, metadata={"title": document.title})
        for document in data.documents()
    ]
    _require_whole(kb.add(documents, on_progress=progress, stop=stop), data.name)
    wanted = {f"{DOCUMENT_PREFIX}{document.id}" for document in documents}
    kb.forget_sources([source.path for source in kb.sources() if source.path not in wanted])


def fill_from(
    kb: KnowledgeBase,
    folder: Path,
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Synchronize the knowledge base with a folder of files.

    Raises:
        DatasetError: it was stopped before everything was embedded.
    """
    report = kb.ingest(folder, prune=True, on_progress=progress, stop=stop)
    _require_whole(report, folder.parent.name)
    return report


def _require_whole(report: Report, name: str) -> None:
    if report.stopped:
        raise DatasetError(
            _("Stopped while embedding {name}.", name=name),
            _("Run it again: what is embedded is kept, it goes on there."),
        )


def documents_of(hits: tuple[Hit, ...]) -> list[str]:
    """Ids of the documents that contain the passages, each once, best first."""
    paths = [path for hit in hits for path in (hit.source, *hit.also_in)]
    return list(dict.fromkeys(path.removeprefix(DOCUMENT_PREFIX) for path in paths))
