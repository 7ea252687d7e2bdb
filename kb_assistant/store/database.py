"""What the store asks of a database engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = str | bytes | int | None
Row = tuple[Any, ...]

SourceFact = Literal["contains", "name", "kind", "folder"]
"""What a source is found or ordered by besides its columns: "contains" takes one value."""


class Statements(Protocol):
    """A connection within a transaction. Statements are SQL that all engines understand, with `?` for each value.

    Attributes:
        place: Where it lies, for messages: a file, or an address without a password.
    """

    place: Path | str

    def rows(self, statement: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        """The rows of a query."""

    def rows_among(self, statement: str, members: Iterable[Value], values: Sequence[Value] = ()) -> Iterator[Row]:
        """The rows of a query with `{among}` after a column: only those whose value is a member. An order counts
        only among the rows of one member. `values` are those of the `?` after it."""

    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        """Change rows. Returns their number."""

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run a statement once for each row of values."""


class Database(Statements, Protocol):
    """A knowledge base's: what engines do differently are methods.

    Attributes:
        facts: The expression for each SourceFact.
    """

    facts: Mapping[SourceFact, str]

    def derived(self, path: str, title: str) -> dict[str, Value]:
        """What this engine keeps of a source besides, by column."""

    def postings(self, token: str) -> NDArray[np.int64]:
        """Ids of the texts that contain the token, ascending, int64."""

    def count_postings(self, token: str, limit: int, first: int, last: int) -> tuple[int, int]:
        """See Snapshot.count_postings."""

    def token_lines(self, text_ids: Iterable[int]) -> dict[int, str]:
        """The tokens of texts in their order, with a blank between two, by text id."""

    def indexed_ids(self) -> Iterator[int]:
        """The ids of the texts in the keyword index."""

    def put_token_lines(self, lines: Mapping[int, str]) -> None:
        """Index texts that aren't indexed, by id."""

    def delete_token_lines(self, text_ids: Iterable[int] | None) -> None:
        """Take texts out of the keyword index; None for all."""

    def clear_new_vectors(self) -> None:
        """Make the second table of vectors, `new_vectors`, empty."""

    def adopt_new_vectors(self) -> None:
        """Replace all vectors by those of the second table."""
