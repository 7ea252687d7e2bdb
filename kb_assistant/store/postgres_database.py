"""PostgreSQL as the store uses it: statements, bulk values and the keyword index, a GIN index of arrays."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.store.database import Counting, Holders, Row, SourceFact, Value
from kb_assistant.store.faults import expect_type
from kb_assistant.store.postgres_schema import key_of, keys_of
from kb_assistant.store.postgres_vectors import HalfVectors
from kb_assistant.store.source_query import folder_of, kind_of, name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from psycopg import Connection

_TOGETHER = 5_000
"""Most members of one statement: the client keeps all rows of one."""

_HOLDERS = """
SELECT asked.place, found.* FROM unnest(?::text[]) WITH ORDINALITY AS asked (token, place), LATERAL (
 SELECT count(*), CASE WHEN count(*) <= ?::bigint THEN string_agg(int8send(text_id), '') END
 FROM keywords WHERE tokens @> ARRAY[asked.token]) AS found
"""
"""Ids have no order here: the planner would walk along the key, and read the tokens of every text."""

_LARGEST = 2**63 - 1

_ROWS = 500
"""Most rows of one statement; it takes 65,535 values."""

_VALUES = re.compile(r"VALUES (\(.*?\))(?: ON CONFLICT|$)")
_PLAIN = re.compile(r"INSERT INTO (\w+(?: \([\w, ]+\))?) VALUES \([?, ]+\)")
"""Rows that go into a table as they are: COPY takes them several times as fast."""

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
            given = "{%s}" % ",".join(map(str, part)) if type(part[0]) is int else part  # noqa: UP031
            yield from self._db.execute(asked, [given, *_cleaned(values)], binary=True).fetchall()

    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        return self._db.execute(_translated(statement), _cleaned(values)).rowcount

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        left = iter(rows)
        if plain := _PLAIN.fullmatch(statement):
            self._copy(plain[1], left)
        while part := list(islice(left, _ROWS)):
            self._db.execute(_with_rows(statement, len(part)), [value for row in part for value in _cleaned(row)])

    def _copy(self, table: str, rows: Iterator[Sequence[Value]]) -> None:
        """Add rows to a table. The server takes one while the next is worked out."""
        if (first := next(rows, None)) is None:
            return
        with self._db.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in chain([first], rows):
                copy.write_row(_cleaned(row))

    def derived(self, path: str, title: str) -> dict[str, Value]:
        return {
            "path_hash": hashlib.sha256(path.encode()).digest(),
            "folded": f"{path} {title}".casefold(),
            "name": name_of(path),
            "kind": kind_of(path),
            "folder": folder_of(path),
        }

    def postings(self, tokens: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        return {token: _numbers(ids) for token, (_count, ids) in self._holding(tokens, _LARGEST).items()}

    def holders(self, tokens: Sequence[str], counting: Counting) -> dict[str, Holders]:
        """All are counted: the index gives no part of a list."""
        found = self._holding(tokens, counting.few - 1)
        return {
            token: Holders(count, None if count and ids is None else _numbers(ids))
            for token, (count, ids) in found.items()
        }

    def _holding(self, tokens: Sequence[str], most: int) -> dict[str, tuple[int, bytes | None]]:
        """How many texts contain each token, and the ids of those of which there are so many at most."""
        values = [_cleaned([key_of(token) for token in tokens]), most]
        rows = self._db.execute(_translated(_HOLDERS), values, binary=True)
        return {tokens[place - 1]: (count, ids) for place, count, ids in rows}

    def token_lines(self, text_ids: Iterable[int]) -> dict[int, str]:
        rows = self.rows_among("SELECT text_id, line FROM keywords WHERE text_id {among}", text_ids)
        return {row[0]: expect_type(str, row[1]) for row in rows}

    def indexed_ids(self) -> Iterator[int]:
        return (row[0] for row in self.rows("SELECT text_id FROM keywords"))

    def put_token_lines(self, lines: Iterable[tuple[int, str]]) -> None:
        self.run_many(
            "INSERT INTO keywords (text_id, line, tokens) VALUES (?, ?, ?)",
            ((text_id, line, _written(keys_of(line))) for text_id, line in lines),
        )

    def delete_token_lines(self, text_ids: Iterable[int] | None) -> None:
        if text_ids is None:
            self.run("DELETE FROM keywords")
        elif here := list(text_ids):
            self._db.execute("DELETE FROM keywords WHERE text_id = ANY(%s::bigint[])", (here,))

    def index_vectors(self, vectors: Mapping[int, bytes]) -> None:
        self.half_vectors.put(vectors)

    @property
    def half_vectors(self) -> HalfVectors:
        """What pgvector searches, if the knowledge base has it."""
        return HalfVectors(str(self.place), self._db)

    def clear_new_vectors(self) -> None:
        self.run("DELETE FROM new_vectors")

    def adopt_new_vectors(self) -> None:
        """Rows are replaced, not the table: a reader of an older state would find the new one's rows missing."""
        self.run("DELETE FROM vectors")
        self.run("INSERT INTO vectors SELECT text_id, vector, crc FROM new_vectors")
        self.run("DELETE FROM new_vectors")


def _written(tokens: Iterable[str]) -> str:
    """Tokens as the server reads an array."""
    quoted = (token.replace("\\", r"\\").replace('"', r"\"") for token in tokens)
    return "{" + ",".join(f'"{token}"' for token in quoted) + "}"


def _numbers(ids: bytes | None) -> NDArray[np.int64]:
    """Numbers as the server sends them, in their order."""
    import numpy as np

    return np.sort(np.frombuffer(ids or b"", ">i8").astype(np.int64))


@lru_cache(maxsize=256)
def _with_rows(statement: str, number: int) -> bytes:
    """The statement with as many rows of values: one for all is several times as fast as one for each."""
    [row] = _VALUES.findall(statement)
    return _translated(statement.replace(row, ", ".join([row] * number)))


@lru_cache(maxsize=256)
def _translated(statement: str, array: str = "") -> bytes:
    if array:
        statement = statement.format(among=f"= ANY(?::{array}[])")
    return statement.replace("?", "%s").encode()


def _cleaned(values: Sequence[Value]) -> list[Any]:
    return [value.replace("\0", "�") if type(value) is str and "\0" in value else value for value in values]
