"""What two knowledge bases over the same files must have in common, whatever ways led there."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.store import Text
from tests.fakes import HashEmbeddings
from tests.fts import keyword_search
from tests.stores import store_of


def small_kb(home: Path, embedder: HashEmbeddings | None = None, **settings: Any) -> KnowledgeBase:
    """A knowledge base with short chunks and one reader process."""
    options: dict[str, Any] = {"readers": 1, "chunk_tokens": 32, "store": store_of(home), **settings}
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
        db = snapshot.database
        lines = db.token_lines(list(db.indexed_ids()))
        rows = db.rows(
            "SELECT t.hash, t.heading, t.body, v.vector, t.id FROM texts t"
            " LEFT JOIN vectors v ON v.text_id = t.id ORDER BY t.hash"
        )
        texts = [(*row[:4], lines.get(row[4])) for row in rows]
        counts = [next(iter(db.rows("SELECT count(*) FROM vectors"))), (len(lines),)]
        state, by_these_rules = snapshot.revision_id, snapshot.keywords_fit
    vocabulary = _vocabulary(lines.values())
    if kb.settings.store == "sqlite" and by_these_rules:
        with closing(sqlite3.connect(kb.settings.kb_dir / "kb.sqlite")) as file:
            file.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab (main, keywords, row)")
            indexed = file.execute("SELECT term, doc, cnt FROM temp.words ORDER BY term").fetchall()
        with kb.store.read() as snapshot:
            assert indexed == vocabulary or snapshot.revision_id != state, "written meanwhile"
    return {
        "sources": sources,
        "chunks": chunks,
        "embedder": embedder,
        "texts": texts,
        "counts": counts,
        "vocabulary": vocabulary,
    }


def _vocabulary(lines: Collection[str]) -> list[tuple[str, int, int]]:
    """Each word, in how many lines it is, and how often."""
    counts = Counter(word for line in lines for word in line.split())
    holders = Counter(word for line in lines for word in set(line.split()))
    return [(word, holders[word], counts[word]) for word in sorted(counts, key=str.encode)]


def answers(kb: KnowledgeBase, questions: list[str]) -> dict[str, Any]:
    """What searches find, by each side alone, where equal scores come in any order, and fused."""
    found: dict[str, Any] = {}
    for question in questions:
        with kb.store.read() as snapshot:
            place = snapshot.place
            words = keyword_search(place, question.lower().split(), 1000) if isinstance(place, Path) else []
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
