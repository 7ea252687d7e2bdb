"""What the store asks of a database engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = str | bytes | int | None
Row = tuple[Any, ...]

SourceFact = Literal["contains", "name", "kind", "folder"]
"""What a source is found or ordered by besides its columns: "contains" takes one value."""


class Counting(NamedTuple):
    """How the texts that contain a token are counted.

    Attributes:
        few: Most that must be counted, those with the smallest ids. For a more common token the number of the
            others may be inferred from samples.
        samples: Number of samples, evenly spread over the ids of the others.
        size: Most ids in each.
    """

    few: int
    samples: int
    size: int

    def step(self, first: int, beyond: int) -> int:
        """How far samples of the ids from `first` up to before `beyond` are apart."""
        return max(1, math.ceil((beyond - first) / self.samples))

    def inferred(self, sampled: int, step: int) -> float:
        """How many there are, by the number in the samples."""
        return sampled * step / min(step, self.size)


class Holders(NamedTuple):
    """The texts that contain a token.

    Attributes:
        number: How many there are, for a common token perhaps partly inferred.
        text_ids: Their ids, ascending, int64, where they come along; see Database.postings.
    """

    number: float
    text_ids: NDArray[np.int64] | None = None


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

    def postings(self, tokens: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """Ids of the texts that contain each token, ascending, int64."""

    def holders(self, tokens: Sequence[str], counting: Counting) -> dict[str, Holders]:
        """How many texts contain each token."""

    def token_lines(self, text_ids: Iterable[int]) -> dict[int, str]:
        """The tokens of texts in their order, with a blank between two, by text id."""

    def indexed_ids(self) -> Iterator[int]:
        """The ids of the texts in the keyword index."""

    def put_token_lines(self, lines: Iterable[tuple[int, str]]) -> None:
        """Index texts that aren't indexed: each with its id, taken one after the other."""

    def delete_token_lines(self, text_ids: Iterable[int] | None) -> None:
        """Take texts out of the keyword index; None for all."""

    def index_vectors(self, vectors: Mapping[int, bytes]) -> None:
        """Add stored vectors, by text id, to the index that the engine itself keeps of them, if it keeps one."""

    def clear_new_vectors(self) -> None:
        """Make the second table of vectors, `new_vectors`, empty."""

    def adopt_new_vectors(self) -> None:
        """Replace all vectors by those of the second table."""
