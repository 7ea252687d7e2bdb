"""Reads of the store, all within one transaction."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.messages import _
from kb_assistant.store.database import Counting, Database, Holders, Row, Value
from kb_assistant.store.faults import damaged, expect_type
from kb_assistant.store.records import Chunk, Source, Text, chunk_id, parts_of, read_reason
from kb_assistant.store.source_query import SourceQuery
from kb_assistant.text import analyzer as keywords
from kb_assistant.text.file_names import said_by_path
from kb_assistant.types import Locator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SOURCES = "SELECT path, digest, recipe, title, reason, failed, ingested_at, chunks, metadata FROM sources"
_CHUNKS = (
    "SELECT c.id, c.text_id, t.heading, t.body, t.hash, s.path, c.page, c.first_line, c.last_line, s.metadata,"
    " c.seq, c.part FROM chunks c JOIN texts t ON t.id = c.text_id JOIN sources s ON s.id = c.source_id"
)

_UNDER = "WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path"
_LARGEST = 2**63 - 1

_SHORT = 2_000
"""Longest value, in characters, that is read along with others."""

_NAMES = 8
"""Most files whose names are searched with a text that they share."""

_MOST_CHUNKS = 1_000_000
"""Most chunks of one source. A larger position can only be damage."""


class Snapshot:
    """Reads within one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._values: dict[str, tuple[str | None, int]] | None = None

    @property
    def database(self) -> Database:
        """What it reads, for checks."""
        return self._db

    @property
    def place(self) -> Path | str:
        """Where the store lies: a file, or an address without a password."""
        return self._db.place

    def meta(self, key: str) -> Any:
        """The JSON value stored under `key`, or None.

        Raises:
            StoreError: it was altered.
        """
        value = self._value(key)
        return None if value is None else json.loads(value)

    def _value(self, key: str) -> str | None:
        """The text stored under `key`, which stays as it is within a snapshot: all short ones are read at once."""
        if self._values is None:
            every = "SELECT key, CASE WHEN length(value) <= ? THEN value END, crc FROM meta"
            self._values = {str(row[0]): (row[1], row[2]) for row in self._db.rows(every, (_SHORT,))}
        if key not in self._values:
            return None
        value, crc = self._values[key]
        return self._stored_value(key) if value is None else self._checked(key, value, crc)

    def _stored_value(self, key: str) -> str | None:
        row = self._first("SELECT value, crc FROM meta WHERE key = ?", (key,))
        return None if row is None else self._checked(key, *row)

    def _checked(self, key: str, value: Any, crc: Any) -> str:
        if zlib.crc32(str(value).encode()) != crc:
            raise damaged(self.place, _("the {key} was altered", key=key))
        return str(value)

    @property
    def revision(self) -> int:
        """Grows with every change that a search can see."""
        return int((self.meta("generation") or [0])[0])

    @property
    def revision_id(self) -> str:
        """Identifies this exact state. A number alone wouldn't: after a power cut undid the last files, the same
        numbers are assigned again to other texts."""
        number, chance = self.meta("generation") or [0, ""]
        return f"{self.vector_epoch} {number} {chance}"

    @property
    def vector_epoch(self) -> str:
        """Changes when all vectors are replaced at once; within one, a text id always means the same vector."""
        return str(self.meta("lineage"))

    @property
    def dimension(self) -> int:
        """Length of the vectors; 1 before anything was embedded."""
        return int((self.meta("embedder") or {}).get("dimension", 1))

    @property
    def keywords_fit(self) -> bool:
        """Whether the keyword index was made by the rules that now analyze questions."""
        return bool(self.meta("keywords") == keywords.analyzer_version())

    def sources(
        self, contains: str = "", failed: bool | None = None, offset: int = 0, limit: int | None = None
    ) -> list[Source]:
        """Sources in path order.

        Args:
            contains: Only sources with this text in path or title, ignoring case.
            failed: Only sources that couldn't be read (True), or only the others (False).
            offset: How many to skip.
            limit: How many at most; None for all.
        """
        return self.find_sources(SourceQuery(contains, failed), offset, limit)

    def count_sources(self, contains: str = "", failed: bool | None = None) -> int:
        """The number of sources; arguments as for `sources`."""
        return self.count_found(SourceQuery(contains, failed))

    def find_sources(self, query: SourceQuery, offset: int = 0, limit: int | None = None) -> list[Source]:
        """The sources of a query, in its order; offset and limit as for `sources`."""
        condition, values = query.conditions(self._db.facts)
        asked = f"{_SOURCES} {condition} {query.ordering(self._db.facts)} LIMIT ? OFFSET ?"
        rows = self._db.rows(asked, (*values, _LARGEST if limit is None else limit, offset))
        return [_source(row) for row in rows]

    def count_found(self, query: SourceQuery) -> int:
        """The number of sources of a query."""
        condition, values = query.conditions(self._db.facts)
        return int(self._one(f"SELECT count(*) FROM sources {condition}", values)[0])

    def source(self, path: str) -> Source | None:
        row = self._first(_SOURCES + " WHERE path = ?", (path,))
        return _source(row) if row else None

    def known_sources(self, paths: Iterable[str]) -> dict[str, Source]:
        """The sources with these paths, by path; those of others are missing."""
        found = map(_source, self._db.rows_among(f"{_SOURCES} WHERE path {{among}}", dict.fromkeys(paths)))
        return {source.path: source for source in found}

    def sources_under(self, path: str) -> Iterator[Source]:
        """The source at this path and those below it, in path order, one at a time."""
        return map(_source, self._db.rows(f"{_SOURCES} {_UNDER}", _below(path)))

    def paths(self, under: str = "") -> list[str]:
        """The paths of all sources, or of the source at a path and those below it, in order."""
        condition, values = (_UNDER, _below(under)) if under else ("ORDER BY path", ())
        return [expect_type(str, row[0]) for row in self._db.rows(f"SELECT path FROM sources {condition}", values)]

    def holders_of(self, digest: str) -> list[str]:
        """Paths of the sound sources with this content, in order."""
        rows = self._db.rows("SELECT path FROM sources WHERE digest = ? AND failed = 0 ORDER BY path", (digest,))
        return [expect_type(str, row[0]) for row in rows]

    def counts(self) -> dict[str, int]:
        row = self._one(
            "SELECT (SELECT count(*) FROM sources), (SELECT count(*) FROM chunks),"
            " (SELECT count(DISTINCT text_id) FROM chunks)"
        )
        return dict(zip(("sources", "chunks", "texts"), row, strict=True))

    def known_vectors(self, hashes: Iterable[bytes]) -> set[bytes]:
        """The members of `hashes` whose text has a vector, orphaned ones included."""
        query = "SELECT t.hash FROM texts t JOIN vectors v ON v.text_id = t.id WHERE t.hash {among}"
        return {row[0] for row in self._db.rows_among(query, set(hashes))}

    def live_ids(self) -> NDArray[np.int64]:
        """Ids of the texts that a chunk uses, ascending, shape (n,), int64."""
        import numpy as np

        rows = self._db.rows("SELECT DISTINCT text_id FROM chunks ORDER BY text_id")
        return np.fromiter((expect_type(int, row[0]) for row in rows), dtype=np.int64)

    def text_ids_of(self, paths: Iterable[str]) -> NDArray[np.int64]:
        """Ids of the texts of these sources, ascending, each once, int64."""
        import numpy as np

        query = "SELECT c.text_id FROM chunks c JOIN sources s ON s.id = c.source_id WHERE s.path {among}"
        found = {expect_type(int, row[0]) for row in self._db.rows_among(query, paths)}
        return np.array(sorted(found), dtype=np.int64)

    def vectors(self, text_ids: Sequence[int], table: str = "vectors") -> NDArray[np.float32]:
        """Vectors of texts in the given order, shape (n, d), float32.

        Raises:
            StoreError: one is missing or damaged.
        """
        import numpy as np

        size = 4 * self.dimension
        places = {text_id: place for place, text_id in enumerate(dict.fromkeys(map(int, text_ids)))}
        rows = bytearray(size * len(places))  # one buffer: a list of blobs would be a second copy
        query = f"SELECT text_id, vector, crc FROM {table} WHERE text_id {{among}}"
        found = 0
        for text_id, vector, crc in self._db.rows_among(query, places):
            if len(expect_type(bytes, vector)) != size or zlib.crc32(vector) != crc:
                break
            place = places[text_id]
            rows[place * size : (place + 1) * size] = vector
            found += 1
        if found < len(places):
            raise damaged(self.place, _("a vector is missing or altered"))
        table_of = np.frombuffer(rows, dtype="<f4").reshape(len(places), size // 4)
        if len(places) == len(text_ids):
            return table_of
        return table_of[[places[int(text_id)] for text_id in text_ids]]

    def vector_sums(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids of the live texts, ascending, and the checksums of their vectors, shape (n,) each, int64.

        Much quicker than the vectors themselves; if an id and its checksum are unchanged, so is the vector.
        """
        import numpy as np

        rows = self._db.rows(
            "SELECT t.text_id, v.crc FROM (SELECT DISTINCT text_id FROM chunks) t"
            " LEFT JOIN vectors v ON v.text_id = t.text_id ORDER BY t.text_id"
        )
        pairs = ((expect_type(int, text_id), expect_type(int, crc)) for text_id, crc in rows)
        table = np.fromiter(pairs, dtype=[("id", np.int64), ("crc", np.int64)])
        return table["id"].copy(), table["crc"].copy()

    def postings(self, token: str) -> NDArray[np.int64]:
        """Ids of the texts that contain the token, ascending, int64."""
        return self._db.postings([token])[token]

    def all_postings(self, tokens: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """The same for several tokens at once."""
        return self._db.postings(tokens)

    def holders(self, tokens: Sequence[str], counting: Counting) -> dict[str, Holders]:
        """How many texts contain each token."""
        return self._db.holders(tokens, counting)

    def document_terms(self, text_ids: Sequence[int]) -> dict[int, list[str]]:
        """The tokens of texts as they were indexed, by text id."""
        lines = self._db.token_lines(map(int, text_ids))
        return {text_id: line.split() for text_id, line in lines.items()}

    @property
    def last_text_id(self) -> int:
        """The largest id of a text, 0 without texts."""
        return int(self._one("SELECT coalesce(max(id), 0) FROM texts")[0])

    def chunk_ids(self, text_ids: Iterable[int]) -> dict[int, str]:
        """The first chunk id of each text, by text id: a name that is the same in every store."""
        rows = self._db.rows_among(
            "SELECT text_id, min(id) FROM chunks WHERE text_id {among} GROUP BY text_id", map(int, text_ids)
        )
        return {row[0]: expect_type(str, row[1]) for row in rows}

    def headings(self, text_ids: Sequence[int]) -> list[str]:
        """The heading of each of these texts, in their order, or else what the names of its files say; "" for a
        missing one."""
        rows = self._db.rows_among("SELECT id, heading FROM texts WHERE id {among}", map(int, text_ids))
        found = {row[0]: expect_type(str, row[1]) for row in rows}
        names = self._names([text_id for text_id in text_ids if not found.get(text_id)])
        return [found.get(text_id) or " ".join(names.get(text_id, ())) for text_id in text_ids]

    def keyword_lines(self, texts: Mapping[int, Text]) -> Iterator[tuple[int, str]]:
        """What the keyword index keeps of texts, with their ids: their tokens, and those of the names of their
        files and folders. Each is worked out when it is asked for, without reading the store."""
        names = self._names(texts)
        return (
            (text_id, " ".join(keywords.analyze("\n".join([text.embedded, *names.get(text_id, ())]))))
            for text_id, text in texts.items()
        )

    def named_by(self, text_ids: Iterable[int], path: str) -> set[int]:
        """The texts in whose keyword line the name of a file with this path, or a later one, is or would be."""
        before = (
            "SELECT count(*) FROM (SELECT DISTINCT s.path FROM chunks c JOIN sources s ON s.id = c.source_id"
            " WHERE c.text_id = t.id AND s.path < ? LIMIT ?) few"
        )
        rows = self._db.rows_among(
            f"SELECT t.id FROM texts t WHERE t.id {{among}} AND ({before}) < ?", text_ids, (path, _NAMES, _NAMES)
        )
        return {row[0] for row in rows}

    def _names(self, text_ids: Iterable[int]) -> dict[int, list[str]]:
        """What the names of the first files with these texts say, each once, by text id."""
        rows = self._db.rows_among(
            "SELECT text_id, path FROM"
            " (SELECT text_id, path, row_number() OVER (PARTITION BY text_id ORDER BY path) AS place"
            " FROM (SELECT DISTINCT c.text_id, s.path FROM chunks c JOIN sources s ON s.id = c.source_id"
            " WHERE c.text_id {among}) named) numbered WHERE place <= ? ORDER BY text_id, path",
            map(int, text_ids),
            (_NAMES,),
        )
        found: dict[int, dict[str, None]] = {}
        for text_id, path in rows:
            if said := said_by_path(expect_type(str, path)):
                found.setdefault(text_id, {})[said] = None
        return {text_id: list(names) for text_id, names in found.items()}

    def chunks_of_texts(self, text_ids: Sequence[int]) -> dict[int, list[Chunk]]:
        """Every chunk that contains one of the texts, by text id, in path order.

        Raises:
            StoreError: a text or a path no longer matches its hash: a damaged page must not become an answer.
        """
        rows = self._db.rows_among(
            f"{_CHUNKS} WHERE c.text_id {{among}} ORDER BY s.path, c.seq", dict.fromkeys(map(int, text_ids))
        )
        found: dict[int, list[Chunk]] = {}
        for row in rows:
            chunk = _chunk(row)
            if chunk.text.hash != row[4] or not _has_its_id(chunk, row[10]):
                raise damaged(self.place, _("a text or the path of its file was altered"))
            found.setdefault(chunk.text_id, []).append(chunk)
        return found

    def chunks_of_source(self, path: str) -> list[Chunk]:
        """A source's chunks in reading order."""
        return [_chunk(row) for row in self._db.rows(f"{_CHUNKS} WHERE s.path = ? ORDER BY c.seq", (path,))]

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        """Chunks by id; unknown ids are left out."""
        return [_chunk(row) for row in self._db.rows_among(f"{_CHUNKS} WHERE c.id {{among}}", ids)]

    def texts(self, text_ids: Iterable[int]) -> list[Text]:
        """The texts with these ids, in their order."""
        wanted = [int(text_id) for text_id in text_ids]
        found = self.texts_by_id(dict.fromkeys(wanted))
        if any(text_id not in found for text_id in wanted):
            raise damaged(self.place, _("a text is missing"))
        return [found[text_id] for text_id in wanted]

    def texts_by_id(self, text_ids: Iterable[int]) -> dict[int, Text]:
        """Texts by id; unknown ids are left out."""
        rows = self._db.rows_among("SELECT id, heading, body FROM texts WHERE id {among}", text_ids)
        return {row[0]: Text.stored(expect_type(str, row[1]), expect_type(str, row[2])) for row in rows}

    def _first(self, statement: str, values: Sequence[Value] = ()) -> Row | None:
        """The first row of a query."""
        return next(iter(self._db.rows(statement, values)), None)

    def _one(self, statement: str, values: Sequence[Value] = ()) -> Row:
        """The row of a statement that always gives one."""
        (row,) = self._db.rows(statement, values)
        return row


def _below(path: str) -> tuple[str, str, str]:
    """The values of `_UNDER` for a path."""
    below = path if path.endswith(os.sep) else path + os.sep
    return path, below, below[:-1] + chr(ord(os.sep) + 1)


def _source(row: tuple[Any, ...]) -> Source:
    *words, failed, ingested_at, chunks, metadata = row
    path, digest, recipe, title, reason, when = (expect_type(str, word) for word in (*words, ingested_at))
    return Source(
        path,
        digest,
        recipe,
        title,
        read_reason(reason),
        bool(failed),
        when,
        expect_type(int, chunks),
        _mapping(metadata),
    )


def _chunk(row: tuple[Any, ...]) -> Chunk:
    id_, text_id, heading, body, _, path, page, first, last, metadata, seq, part = row
    lines = None if first is None else (expect_type(int, first), expect_type(int, last))
    locator = Locator(None if page is None else expect_type(int, page), lines, heading or None, **parts_of(part))
    text = Text.stored(expect_type(str, heading), expect_type(str, body))
    return Chunk(
        expect_type(str, id_),
        expect_type(int, text_id),
        text,
        expect_type(str, path),
        locator,
        _mapping(metadata),
        expect_type(int, seq),
    )


def _mapping(written: object) -> dict[str, Any]:
    return expect_type(dict, json.loads(expect_type(str, written)))


def _has_its_id(chunk: Chunk, seq: object) -> bool:
    """Whether the id was made from text and path; before position `seq` the text can occur `seq` times."""
    occurrences = range(min(expect_type(int, seq) + 1, _MOST_CHUNKS))
    return any(chunk.id == chunk_id(chunk.source, chunk.text, occurrence) for occurrence in occurrences)


def row_checksum(db: Database, source_id: int) -> int:
    """Checksum of a source's row and of its chunks' rows."""
    row = next(
        iter(
            db.rows(
                "SELECT path, digest, recipe, title, reason, failed, ingested_at, metadata, chunks FROM sources"
                " WHERE id = ?",
                (source_id,),
            )
        ),
        None,
    )
    rows = db.rows("SELECT * FROM chunks WHERE source_id = ? ORDER BY seq", (source_id,))
    return rows_checksum(row, [(one[0], *one[2:]) for one in rows])


def rows_checksum(row: Row | None, chunks: Iterable[Row]) -> int:
    """The same for the rows as such: the source's without its id, the chunks' without that of the source."""
    # The column `part` is missing in stores of version 1, whose seals must stay valid: an empty one is left out.
    places = [(*one[:6], *(part for part in one[6:] if part is not None)) for one in chunks]
    return zlib.crc32(repr((row, places)).encode())
