"""What two knowledge bases over the same files must have in common, whatever ways led there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.store import Text
from tests.fakes import HashEmbeddings
from tests.fts import keyword_search


def small_kb(home: Path, embedder: HashEmbeddings | None = None, **settings: Any) -> KnowledgeBase:
    """A knowledge base with short chunks and one reader process."""
    options: dict[str, Any] = {"readers": 1, "chunk_tokens": 32, **settings}
    return KnowledgeBase(Settings(home=home, **options), embedder=embedder or HashEmbeddings())


def contents(kb: KnowledgeBase) -> dict[str, Any]:
    """All that the store holds, but for times and for numbers that only count."""
    with kb.store.read() as snapshot:
        sources = {
            source.path: (source.digest, source.recipe, source.title, source.reason, source.failed, source.chunks)
            for source in snapshot.sources()
        }
        chunks = {
            path: [(chunk.id, chunk.text, chunk.locator) for chunk in snapshot.chunks_of_source(path)]
            for path in sources
        }
        embedder = snapshot.meta("embedder")
    path = kb.settings.kb_dir / "kb.sqlite"
    with closing(sqlite3.connect(path)) as db:
        texts = db.execute(
            "SELECT t.hash, t.heading, t.body, v.vector, k.tokens FROM texts t"
            " LEFT JOIN vectors v ON v.text_id = t.id LEFT JOIN keywords k ON k.rowid = t.id ORDER BY t.hash"
        ).fetchall()
        counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("vectors", "keywords")]
        db.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab (main, keywords, row)")
        vocabulary = db.execute("SELECT term, doc, cnt FROM temp.words ORDER BY term").fetchall()
    return {
        "sources": sources,
        "chunks": chunks,
        "embedder": embedder,
        "texts": texts,
        "counts": counts,
        "vocabulary": vocabulary,
    }


def answers(kb: KnowledgeBase, questions: list[str]) -> dict[str, Any]:
    """What searches find, by each side alone, where equal scores come in any order, and fused."""
    found: dict[str, Any] = {}
    for question in questions:
        with kb.store.read() as snapshot:
            words = keyword_search(snapshot.place, question.lower().split(), 1000)
            texts = dict(zip([i for i, _ in words], snapshot.texts(i for i, _ in words), strict=True))
        hits = kb.search(question, 1000)
        found[question] = {
            "dense": sorted((chunk.id, round(score, 5)) for chunk, score in kb.nearest(question, 1000)),
            "keyword": sorted((texts[i].hash, round(score, 6)) for i, score in words),
            "hits": [(hit.id, hit.text, hit.source, hit.also_in, str(hit.locator)) for hit in hits],
        }
    return found


def known_texts(kb: KnowledgeBase) -> set[str]:
    """Every text that has a vector in the store, as it was embedded."""
    with closing(sqlite3.connect(kb.settings.kb_dir / "kb.sqlite")) as db:
        rows = db.execute("SELECT heading, body FROM texts WHERE id IN (SELECT text_id FROM vectors)").fetchall()
    return {Text(*row).embedded for row in rows}


def files_under(folder: Path) -> dict[str, bytes]:
    """Every file and folder with its bytes, to see that nothing was written."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}
