"""SQLite as the store uses it: statements, bulk values and the keyword index, which is an FTS5 table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.store.database import Counting, Holders, Row, SourceFact, Value
from kb_assistant.store.faults import expect_type

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOKENIZER = "unicode61 remove_diacritics 0 tokenchars '-_.''/:@+#'"

_MOST_VALUES = 30_000
"""Most values of one statement; SQLite's own limit is 32,766."""

_LARGEST = 2**63 - 1


class SQLiteDatabase:
    """A connection to a file, within a transaction; see Database."""

    facts: Mapping[SourceFact, str] = {
        "contains": "instr(casefold(path || ' ' || title), ?) > 0",
        "name": "name_of(path)",
        "kind": "kind_of(path)",
        "folder": "folder_of(path)",
    }

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.place: Path | str = path
        self._db = connection

    def rows(self, statement: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        return self._db.execute(statement, values)

    def rows_among(self, statement: str, members: Iterable[Value], values: Sequence[Value] = ()) -> Iterator[Row]:
        for part in _parts(members, _MOST_VALUES - len(values)):
            yield from self._db.execute(statement.format(among=_among(part)), [*part, *values])

    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        return self._db.execute(statement, values).rowcount

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        self._db.executemany(statement, rows)

    def derived(self, path: str, title: str) -> dict[str, Value]:  # noqa: ARG002 - functions of SQLite give it
        return {}

    def postings(self, tokens: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        return {token: self._postings(token) for token in tokens}

    def _postings(self, token: str) -> NDArray[np.int64]:
        import numpy as np

        query = (
            "SELECT group_concat(rowid) FROM (SELECT rowid FROM keywords WHERE keywords MATCH ? ORDER BY rowid)"
        )
        ids: str | None = self._db.execute(query, (_phrase(token),)).fetchone()[0]
        return np.fromstring(ids or "", dtype=np.int64, sep=",")

    def holders(self, tokens: Sequence[str], counting: Counting) -> dict[str, Holders]:
        return {token: self._holders(token, counting) for token in tokens}

    def _holders(self, token: str, counting: Counting) -> Holders:
        """FTS5 gives the first ones without looking at the others, of which there may be millions."""
        count, last = self._count(token, counting.few, 0, _LARGEST)
        if count < counting.few:
            return Holders(count)
        beyond = int(self._db.execute("SELECT ifnull(max(id), 0) FROM texts").fetchone()[0]) + 1
        step = counting.step(last + 1, beyond)
        size = min(step, counting.size)
        sampled = sum(
            self._count(token, size, start, start + size - 1)[0] for start in range(last + 1, beyond, step)
        )
        return Holders(count + counting.inferred(sampled, step))

    def _count(self, token: str, limit: int, first: int, last: int) -> tuple[int, int]:
        """How many texts with ids from `first` to `last` contain the token, up to `limit`, and the id of the last
        one counted."""
        query = (
            "SELECT count(*), ifnull(max(rowid), 0) FROM (SELECT rowid FROM keywords"
            " WHERE keywords MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid LIMIT ?)"
        )
        count, last = self._db.execute(query, (_phrase(token), first, last, limit)).fetchone()
        return int(count), int(last)

    def token_lines(self, text_ids: Iterable[int]) -> dict[int, str]:
        rows = self.rows_among("SELECT rowid, tokens FROM keywords WHERE rowid {among}", text_ids)
        return {row[0]: expect_type(str, row[1]) for row in rows}

    def indexed_ids(self) -> Iterator[int]:
        return (row[0] for row in self.rows("SELECT rowid FROM keywords"))

    def put_token_lines(self, lines: Iterable[tuple[int, str]]) -> None:
        self.run_many("INSERT INTO keywords (rowid, tokens) VALUES (?, ?)", lines)

    def delete_token_lines(self, text_ids: Iterable[int] | None) -> None:
        if text_ids is None:
            self.run("DELETE FROM keywords")
        else:
            self.run_many("DELETE FROM keywords WHERE rowid = ?", ((text_id,) for text_id in text_ids))

    def index_vectors(self, vectors: Mapping[int, bytes]) -> None:
        pass  # it keeps none

    def clear_new_vectors(self) -> None:
        self.run("DROP TABLE IF EXISTS new_vectors")
        self.run(
            "CREATE TABLE new_vectors (text_id INTEGER PRIMARY KEY, vector BLOB NOT NULL, crc INTEGER NOT NULL)"
        )

    def adopt_new_vectors(self) -> None:
        self.run("DROP TABLE vectors")
        self.run("ALTER TABLE new_vectors RENAME TO vectors")


def _parts(members: Iterable[Value], size: int) -> Iterator[list[Value]]:
    left = iter(members)
    while part := list(islice(left, size)):
        yield part


def _among(members: Sequence[Value]) -> str:
    return f"IN ({','.join('?' * len(members))})"


def _phrase(token: str) -> str:
    return '"' + token.replace('"', '""') + '"'
