"""A sample of texts that represents an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kb_assistant.store import Snapshot
from kb_assistant.text.language import Language, language_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE = 512
"""Most texts of a sample."""

SPOKEN = 128
"""Of so many of these the language is looked at."""


@dataclass(frozen=True, slots=True)
class Centre:
    """How many vectors there are of one sort, and their mean, shape (d,), float32."""

    count: int
    mean: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts that stand for all of an index.

    Attributes:
        vectors: Their vectors, shape (m, d), float32.
        has_headings: Whether at least half of them have a heading.
        centres: Of some of them by their language.
    """

    vectors: NDArray[np.float32]
    has_headings: bool
    centres: Mapping[Language, Centre] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot, text_ids: Sequence[int]) -> Sample:
        """The sample of these texts.

        Raises:
            StoreError: a vector is missing or damaged.
        """
        titled = sum(map(bool, snapshot.headings(text_ids)))
        vectors = snapshot.vectors(text_ids)
        step = -(-len(text_ids) // SPOKEN) or 1
        languages = [language_of(text.body) for text in snapshot.texts(text_ids[::step])]
        return cls(vectors, 2 * titled >= len(text_ids), _centres(vectors[::step], languages))


def _centres(vectors: NDArray[np.float32], languages: Sequence[Language]) -> dict[Language, Centre]:
    """The centre of each language's vectors."""
    places = {name: [place for place, one in enumerate(languages) if one == name] for name in set(languages)}
    return {name: Centre(len(rows), vectors[rows].mean(axis=0)) for name, rows in places.items()}
