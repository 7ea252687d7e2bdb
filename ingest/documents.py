"""Documents that programs hand in: they need no reading, and else take the way that files do."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.plan import plan_documents
from ingest.readers import Block, Content, one_line
from ingest.readers.text import clean
from ingest.sync import Embedder, Job, Run, known_sources, recipe_of, report_of
from kb_assistant.settings import Settings
from kb_assistant.store import DOCUMENT_PREFIX, KnowledgeStore
from kb_assistant.types import Report

if TYPE_CHECKING:
    from langchain_core.documents import Document


@dataclass(frozen=True, slots=True)
class Given:
    """A document that a program hands in. `path` names its source; `metadata` are JSON values."""

    path: str
    title: str
    text: str
    metadata: Mapping[str, Any]

    @property
    def digest(self) -> str:
        whole = json.dumps([self.title, self.text, dict(self.metadata)], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()

    @property
    def content(self) -> Content:
        """One block of prose under the title, which isn't said twice where it is the text's first line."""
        title = one_line(self.title)
        body = clean(self.text).strip("\n")
        first, _, rest = body.partition("\n")
        text = rest.strip("\n") if title and one_line(first) == title and rest.strip() else body
        return Content(title, (Block(text, heading=title),) if text.strip() else ())


def given(document: Document) -> Given:
    """LangChain's document, named after its id or else its text. Metadata that JSON doesn't know, such as dates,
    become text."""
    name = document.id or hashlib.sha256(document.page_content.encode("utf-8", "replace")).hexdigest()[:32]
    metadata = json.loads(json.dumps(document.metadata, default=str))
    return Given(f"{DOCUMENT_PREFIX}{name}", str(metadata.get("title") or ""), document.page_content, metadata)


def put_documents(
    store: KnowledgeStore, embedder: Embedder, settings: Settings, documents: Iterable[Given], job: Job
) -> Report:
    """Bring the sources of these documents in step with them; others are left alone. Of `job` only progress and
    stop count."""
    started = time.monotonic()
    splitter, recipe = recipe_of(embedder, settings)
    by_path = {document.path: document for document in documents}
    sizes = {path: (document.digest, len(document.text)) for path, document in by_path.items()}
    plan = plan_documents(known_sources(store), sizes, recipe)
    run = Run(store, embedder, splitter, recipe, plan, job, started)
    stopped = run.commit_all((path, by_path[path].content, by_path[path].metadata) for path in plan.read)
    return report_of(plan.rows, plan, run.embedded, started, stopped, dry_run=False)
