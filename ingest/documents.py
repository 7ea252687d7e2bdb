"""Documents given by programs: they need no reading, and otherwise are processed like files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.plan import plan_documents
from ingest.readers.blocks import Block, Content, one_line
from ingest.readers.encoding import normalize_text
from ingest.run import PassageEmbedder, Run
from ingest.sandbox.pool import ReaderPool
from ingest.sync import recipe_of
from kb_assistant.settings import Settings
from kb_assistant.store import DOCUMENT_PREFIX, KnowledgeStore
from kb_assistant.types import IngestRequest, Report

if TYPE_CHECKING:
    from langchain_core.documents import Document


@dataclass(frozen=True, slots=True)
class Given:
    """A document given by a program. `path` names its source; `metadata` are JSON values."""

    path: str
    title: str
    text: str
    metadata: Mapping[str, Any]

    @property
    def digest(self) -> str:
        whole = json.dumps([self.title, self.text, dict(self.metadata)], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()

    @property
    def size(self) -> int:
        return len(self.text)

    @property
    def content(self) -> Content:
        """One block of prose under the title, which isn't repeated if it is the text's first line."""
        title = one_line(self.title)
        body = normalize_text(self.text).strip("\n")
        first, _, rest = body.partition("\n")
        text = rest.strip("\n") if title and one_line(first) == title and rest.strip() else body
        return Content(title, (Block(text, heading=title),) if text.strip() else ())


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file given by a program as bytes. Its name's suffix selects the reader."""

    path: str
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        return len(self.data)


def given(document: Document | str | tuple[str, bytes]) -> Given | GivenFile:
    """Convert a given document: a LangChain document is named by its id, a file by its name, others by their
    text's hash. Metadata that JSON doesn't support, such as dates, become text.

    Raises:
        TypeError: it is none of these.
    """
    from langchain_core.documents import Document as Langchains

    match document:
        case str():
            return Given(_source(_name_of(document)), "", document, {})
        case (str(name), bytes(data)) if name:
            return GivenFile(_source(name), data)
    if not isinstance(document, Langchains):
        raise TypeError("A document is handed in as LangChain's Document, as a text, or as (name, bytes).")
    name = document.id or _name_of(document.page_content)
    metadata = json.loads(json.dumps(document.metadata, default=str))
    return Given(_source(name), str(metadata.get("title") or ""), document.page_content, metadata)


def _source(name: str) -> str:
    """The path of a document's source: its name as given, or as it is listed."""
    return DOCUMENT_PREFIX + name.removeprefix(DOCUMENT_PREFIX).encode("utf-8", "replace").decode()


def _name_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def put_documents(
    store: KnowledgeStore,
    embedder: PassageEmbedder,
    settings: Settings,
    documents: Iterable[Given | GivenFile],
    request: IngestRequest,
    pool: ReaderPool,
) -> Report:
    """Update the sources of these documents; others stay. Only progress and stop of `request` are used."""
    started = time.monotonic()
    splitter, recipe = recipe_of(embedder, settings)
    by_path = {document.path: document for document in documents}
    texts = {path: document for path, document in by_path.items() if isinstance(document, Given)}
    files = {path: document.data for path, document in by_path.items() if isinstance(document, GivenFile)}
    facts = {path: (document.digest, document.size) for path, document in by_path.items()}
    with store.read() as snapshot:
        plan = plan_documents(snapshot, facts, recipe, settings)
    run = Run(store, embedder, splitter, recipe, plan, request, started)
    new = [path for path in plan.tasks if path in texts]
    stopped = run.commit_all((path, texts[path].content, texts[path].metadata) for path in new)
    stopped = stopped or run.read_and_commit(pool, files)
    return run.report(stopped)
