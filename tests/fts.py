"""FTS5's own ranking of a store's texts, to compare with."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path


def keyword_search(store: Path, tokens: Sequence[str], limit: int) -> list[tuple[int, float]]:
    """Ids of the texts that hold any of the tokens, with FTS5's BM25, larger is better, best first."""
    match = " OR ".join('"' + token.replace('"', '""') + '"' for token in tokens)
    db = sqlite3.connect(store)
    try:
        rows = db.execute(
            "SELECT rowid, -rank FROM keywords WHERE keywords MATCH ? ORDER BY rank LIMIT ?", (match, limit)
        )
        return [(row[0], row[1]) for row in rows] if tokens else []
    finally:
        db.close()
