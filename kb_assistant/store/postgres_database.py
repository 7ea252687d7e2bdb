"""PostgreSQL as the store uses it: statements, bulk values and the keyword index, a GIN index of arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.store.database import Row, SourceFact, Value
from kb_assistant.store.faults import expect_type
from kb_assistant.store.postgres_schema import key_of, keys_of
from kb_assistant.store.source_query import folder_of, kind_of, name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from psycopg import Connection

_TOGETHER = 5_000
"""Most members of one statement: the client keeps all rows of one."""

_PART = 10_000
"""Most texts whose tokens are looked at one by one rather than in the index of tokens."""

_COUNTED = (
    "WITH holding AS MATERIALIZED (SELECT text_id FROM keywords WHERE tokens @> ARRAY[?])"
    " SELECT count(*), coalesce(max(text_id), 0) FROM (SELECT text_id FROM holding"
    " WHERE text_id BETWEEN ? AND ? ORDER BY text_id LIMIT ?) found"
)
"""Apart, or the planner walks along the key and reads the tokens of every text."""

_COUNTED_IN_PART = (
    "SELECT count(*), coalesce(max(text_id), 0) FROM (SELECT text_id FROM keywords"
    " WHERE tokens @> ARRAY[?] AND text_id BETWEEN ? AND ? ORDER BY text_id LIMIT ?) found"
)

_ARRAYS = {int: "bigint", str: "text", bytes: "bytea"}


class PostgresDatabase:
    """A connection to a server, within a transaction; see Database.

    A NUL, which PostgreSQL refuses and no stored text has, becomes U+FFFD, so that it is found nowhere.
    """

    facts: Mapping[SourceFact, str] = {
        "contains": "strpos(folded, ?) > 0",
        "name": "name",
        "kind": "kind",
        "folder": "folder",
    }

    def __init__(self, place: str, connection: Connection[Row]) -> None:
        self.place: Path | str = place
        self._db = connection

    def rows(self, statement: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        return iter(self._db.execute(_translated(statement), _cleaned(values), binary=True))

    def rows_among(self, statement: str, members: Iterable[Value], values: Sequence[Value] = ()) -> Iterator[Row]:
        left = iter(members)
        while part := _cleaned(list(islice(left, _TOGETHER))):
            # psycopg gives an array the type of its values; a number's would depend on its size.
            asked = _translated(statement, _ARRAYS[type(part[0])])
            yield from self._db.execute(asked, [part, *_cleaned(values)], binary=True)

    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        return self._db.execute(_translated(statement), _cleaned(values)).rowcount

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        with self._db.cursor() as cursor:
            cursor.executemany(_translated(statement), [_cleaned(row) for row in rows])

    def derived(self, path: str, title: str) -> dict[str, Value]:
        return {
            "path_hash": hashlib.sha256(path.encode()).digest(),
            "folded": f"{path} {title}".casefold(),
            "name": name_of(path),
            "kind": kind_of(path),
            "folder": folder_of(path),
        }

    def postings(self, token: str) -> NDArray[np.int64]:
        import numpy as np

        query = "SELECT string_agg(text_id::text, ',' ORDER BY text_id) FROM keywords WHERE tokens @> ARRAY[?]"
        [(ids,)] = self.rows(query, (key_of(token),))
        return np.fromstring(ids or "", dtype=np.int64, sep=",")

    def count_postings(self, token: str, limit: int, first: int, last: int) -> tuple[int, int]:
        asked = _COUNTED_IN_PART if last - first < _PART else _COUNTED
        [(count, last)] = self.rows(asked, (key_of(token), first, last, limit))
        return int(count), int(last)

    def token_lines(self, text_ids: Iterable[int]) -> dict[int, str]:
        rows = self.rows_among("SELECT text_id, line FROM keywords WHERE text_id {among}", text_ids)
        return {row[0]: expect_type(str, row[1]) for row in rows}

    def indexed_ids(self) -> Iterator[int]:
        return (row[0] for row in self.rows("SELECT text_id FROM keywords"))

    def put_token_lines(self, lines: Mapping[int, str]) -> None:
        statement = "INSERT INTO keywords (text_id, line, tokens) VALUES (%s, %s, %s)"
        with self._db.cursor() as cursor:
            cursor.executemany(statement, [(text_id, line, keys_of(line)) for text_id, line in lines.items()])

    def delete_token_lines(self, text_ids: Iterable[int] | None) -> None:
        if text_ids is None:
            self.run("DELETE FROM keywords")
        else:
            self._db.execute("DELETE FROM keywords WHERE text_id = ANY(%s::bigint[])", (list(text_ids),))

    def clear_new_vectors(self) -> None:
        self.run("DELETE FROM new_vectors")

    def adopt_new_vectors(self) -> None:
        """Rows are replaced, not the table: a reader of an older state would find the new one's rows missing."""
        self.run("DELETE FROM vectors")
        self.run("INSERT INTO vectors SELECT text_id, vector, crc FROM new_vectors")
        self.run("DELETE FROM new_vectors")


@lru_cache(maxsize=256)
def _translated(statement: str, array: str = "") -> bytes:
    if array:
        statement = statement.format(among=f"= ANY(?::{array}[])")
    return statement.replace("?", "%s").encode()


def _cleaned(values: Sequence[Value]) -> list[Any]:
    return [value.replace("\0", "�") if type(value) is str and "\0" in value else value for value in values]
