"""Vectors in half precision on the server, and pgvector's graph over them, which finds the nearest.

They are derived from the float32 vectors, in a table of their own: a row goes with its vector, by the server
itself, and comes in the same transaction. Which texts are in use each search asks within its snapshot, so that it
finds what the snapshot holds and nothing else.

The graph is pgvector's HNSW (Malkov and Yashunin, TPAMI 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from kb_assistant.errors import StoreError
from kb_assistant.messages import _
from kb_assistant.store.database import Row
from kb_assistant.store.postgres_extension import Found, found_by, name_types, require, set_up

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_NUMBERS = 4000
"""Longest vector in half precision that pgvector's graph takes."""

_USUAL_SCAN = 20_000
"""Rows that a search examines at most, for conditions that few fulfil; pgvector's own default."""

_LINKS, _CARE = 16, 64
"""Neighbours of a row in the graph, and candidates for them: pgvector's own defaults."""

_MOST_MEMORY = 1 << 20
"""KiB that the server may take to make a graph, unless it is set up for more."""

_TABLE = """
DROP TABLE IF EXISTS half_vectors;
CREATE TABLE half_vectors (
    text_id bigint PRIMARY KEY REFERENCES vectors (text_id) ON DELETE CASCADE,
    vector halfvec({dimension}) NOT NULL);
ALTER TABLE half_vectors ALTER COLUMN vector SET STORAGE PLAIN;
"""
"""Rows are read by the thousand, so that vectors lie in them and not beside them."""

_GRAPH = """
CREATE INDEX half_vectors_graph ON half_vectors USING hnsw (vector halfvec_ip_ops)
    WITH (m = {links}, ef_construction = {care})
"""

_EXAMINE = """
SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', %(effort)s, true),
 set_config('hnsw.max_scan_tuples', %(rows)s, true), set_config('hnsw.scan_mem_multiplier', '8', true)
"""
"""Without `iterative_scan` a search that meets removed or forbidden rows gives too few, and doesn't say so."""

_IN_USE = "(SELECT true FROM chunks c WHERE c.text_id = h.text_id LIMIT 1)"
"""Asked of each row that is met, and never turned into a join, which would begin elsewhere."""

_AMONG = "h.text_id IN (SELECT unnest(%(allowed)s::bigint[]))"
_MET_AMONG = f"({_AMONG}) IS TRUE"
"""The first begins with the ids; the second asks each row that is met."""

_HEAD, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
"""Of rows in the binary form of COPY."""

_BLOCK = 1000
"""Vectors that are compared at once."""

_NEAR_BY_GRAPH = """
SELECT asked.place, found.text_id
FROM unnest(%(queries)s::text[]::halfvec[]) WITH ORDINALITY AS asked (vector, place), LATERAL (
 SELECT h.text_id FROM half_vectors h WHERE {condition} ORDER BY h.vector <#> asked.vector LIMIT %(count)s) found
"""

_NEAR_OF_ALL = """
WITH every AS MATERIALIZED (SELECT h.text_id, h.vector FROM half_vectors h WHERE {condition})
SELECT asked.place, found.text_id
FROM unnest(%(queries)s::text[]::halfvec[]) WITH ORDINALITY AS asked (vector, place), LATERAL (
 SELECT text_id FROM every ORDER BY every.vector <#> asked.vector LIMIT %(count)s) found
"""

_SPREAD = """
SELECT text_id, total FROM (SELECT text_id, row_number() OVER (ORDER BY text_id) - 1 AS place,
 count(*) OVER () AS total FROM (SELECT DISTINCT text_id FROM chunks) live) numbered
WHERE place %% ((total + %(size)s - 1) / %(size)s) = 0 ORDER BY text_id
"""

_UNHELD = "SELECT DISTINCT c.text_id FROM chunks c"
_NOT_HERE = "WHERE NOT EXISTS (SELECT 1 FROM half_vectors h WHERE h.text_id = c.text_id)"

_BOTH = """
SELECT v.text_id, v.vector, halfvec_send(h.vector) FROM vectors v JOIN half_vectors h ON h.text_id = v.text_id
WHERE v.text_id > %s ORDER BY v.text_id LIMIT %s
"""


class HalfVectors:
    """The half-precision vectors of one knowledge base, within a transaction.

    Args:
        place: The knowledge base's, for messages.
    """

    def __init__(self, place: str, connection: Connection[Row]) -> None:
        self._place, self._db = place, connection

    def found(self) -> Found:
        """What there is of it."""
        return found_by(self._db)

    def require(self) -> Found:
        """The same.

        Raises:
            StoreError: pgvector isn't set up in this database, or is too old.
        """
        return require(self._place, self._db)

    def prepare(self, dimension: int) -> None:
        """Set up pgvector in this database, and make the table for vectors of this length, unless it is there.

        Raises:
            StoreError: the server has no pgvector or an old one, the user may not set it up, or vectors are too
                long.
        """
        if dimension > MOST_NUMBERS:
            raise StoreError(
                _(
                    "pgvector searches vectors of up to {most} numbers; these have {dimension}.",
                    most=MOST_NUMBERS,
                    dimension=dimension,
                ),
                _("Choose another embedder, or run `kb settings index local`."),
            )
        set_up(self._place, self._db)
        if self.require().dimension != dimension:
            name_types(self._db)
            self._db.execute(_TABLE.format(dimension=dimension).encode())

    def put(self, vectors: Mapping[int, bytes]) -> None:
        """Add float32 vectors, as little-endian bytes by text id; nothing where the table isn't made for them."""
        import numpy as np

        if not vectors:
            return
        dimension = len(next(iter(vectors.values()))) // 4
        if self.found().dimension != dimension:
            return
        rows = np.frombuffer(b"".join(vectors.values()), "<f4").reshape(len(vectors), dimension)
        with self._db.cursor() as cursor, cursor.copy("COPY half_vectors FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(_HEAD + _as_rows(np.fromiter(vectors, np.int64), rows) + _END)

    def delete(self, text_ids: list[int]) -> None:
        """Take rows away; the texts stay."""
        if text_ids:
            self._db.execute("DELETE FROM half_vectors WHERE text_id = ANY(%s::bigint[])", (text_ids,))

    def unheld(self) -> NDArray[np.int64]:
        """Ids of the texts in use that have no row, ascending."""
        import numpy as np

        there = self.found().table is not None
        query = f"{_UNHELD} {_NOT_HERE if there else ''} ORDER BY c.text_id"
        rows = self._db.execute(query.encode(), binary=True)
        return np.fromiter((row[0] for row in rows), np.int64)

    def spread(self, size: int) -> tuple[int, list[int]]:
        """The number of texts in use, and the ids of at most `size` of them, evenly spread."""
        rows = self._db.execute(_SPREAD, {"size": size}, binary=True).fetchall()
        return (rows[0][1] if rows else 0), [row[0] for row in rows]

    def added_after(self, text_id: int) -> int:
        """The number of texts in use with a larger id."""
        query = "SELECT count(DISTINCT text_id) FROM chunks WHERE text_id > %s"
        (row,) = self._db.execute(query, (text_id,))
        return int(row[0])

    def near_by_graph(
        self,
        queries: NDArray[np.float32],
        count: int,
        effort: int,
        allowed: NDArray[np.int64] | None = None,
        rows: int = 0,
    ) -> list[list[int]]:
        """Ids of `count` texts near each query, nearest first as the graph shows; fewer where it finds none.

        Args:
            queries: Shape (n, d), float32.
            effort: Candidates that are examined at once, at most 1000.
            allowed: Ids of the only texts to be found.
            rows: How many rows may be examined, if more than usual.
        """
        settings = {"effort": str(effort), "rows": str(max(_USUAL_SCAN, rows))}
        self._db.execute(_EXAMINE, settings)
        return self._near(_NEAR_BY_GRAPH, queries, count, allowed, _MET_AMONG)

    def near_of_all(
        self, queries: NDArray[np.float32], count: int, allowed: NDArray[np.int64] | None = None
    ) -> list[list[int]]:
        """Ids of the `count` texts nearest to each query in half precision, of all or of the texts `allowed`."""
        return self._near(_NEAR_OF_ALL, queries, count, allowed, _AMONG)

    def _near(
        self,
        statement: str,
        queries: NDArray[np.float32],
        count: int,
        allowed: NDArray[np.int64] | None,
        among: str,
    ) -> list[list[int]]:
        asked: dict[str, Any] = {"queries": list(map(_written, queries.tolist())), "count": count}
        condition = _IN_USE
        if allowed is not None:
            condition, asked["allowed"] = f"{among} AND {_IN_USE}", "{%s}" % ",".join(map(str, allowed.tolist()))  # noqa: UP031
        name_types(self._db)
        found: list[list[int]] = [[] for _ in queries]
        query = statement.format(condition=condition).encode()
        for place, text_id in self._db.execute(query, asked, prepare=False, binary=True):
            found[place - 1].append(text_id)
        return found

    def make_graph(self, rows: int, dimension: int) -> None:
        """Make the graph over so many rows."""
        needed = min(_MOST_MEMORY, rows * (2 * dimension + 1000) // 1024)
        name_types(self._db)
        self._db.execute(
            "SELECT set_config('maintenance_work_mem', greatest(%s,"
            " (SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem'))::text || 'kB', true)",
            (needed,),
        )
        self._db.execute(_GRAPH.format(links=_LINKS, care=_CARE).encode())

    def drop_graph(self) -> None:
        self._db.execute("DROP INDEX IF EXISTS half_vectors_graph")

    def altered(self) -> list[int]:
        """Ids of the rows that hold other vectors than the float32 ones."""
        import numpy as np

        if self.found().table is None:
            return []
        name_types(self._db)
        wrong: list[int] = []
        last = -1
        while rows := self._db.execute(_BOTH, (last, _BLOCK), binary=True).fetchall():
            wrong += [
                text_id
                for text_id, vector, half in rows
                if half[4:] != np.frombuffer(vector, "<f4").astype(">f2").tobytes()
            ]
            last = rows[-1][0]
        return wrong


def _written(vector: list[float]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector))}]"


def _as_rows(text_ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> bytes:
    """Rows of (id, vector in half precision) in the binary form of COPY: each value behind its length, numbers
    with their large ends first. A halfvec is its length, two zero bytes, and its numbers."""
    import numpy as np

    dimension = vectors.shape[1]
    form = np.dtype([
        ("values", ">i2"), ("id size", ">i4"), ("id", ">i8"), ("vector size", ">i4"), ("dimension", ">i2"),
        ("unused", ">i2"), ("vector", ">f2", (dimension,)),
    ])  # fmt: skip
    rows = np.zeros(len(vectors), form)
    rows["values"], rows["id size"], rows["id"] = 2, 8, text_ids
    rows["vector size"], rows["dimension"], rows["vector"] = 4 + 2 * dimension, dimension, vectors
    return rows.tobytes()
