"""What every embedder of this project can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.embeddings import Embeddings
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
else:
    Embeddings = ABC  # to import LangChain's takes longer than a search: see as_langchain


class TextEmbeddings(Embeddings):
    """Embeds passages and questions; all vectors have length 1. Safe to share between threads.

    It has the methods of LangChain's `Embeddings`, and is one by `as_langchain`.
    """

    @property
    @abstractmethod
    def fingerprint(self) -> dict[str, str | int]:
        """Identifies everything that affects the vectors; vectors of two fingerprints must not share an index."""

    @property
    @abstractmethod
    def background_cosines(self) -> tuple[float, float] | None:
        """Mean and standard deviation of cosines of unrelated questions and passages; None if not measured."""

    def load(self) -> None:
        """Load now, for a process that stays, what else loads after some questions. Not needed before use."""

    @abstractmethod
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, without special tokens, prefix and truncation."""

    @abstractmethod
    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Vectors]]:
        """Vectors of passages batch by batch, so that the caller can stop or save in between. Longest first, if
        many.

        Yields:
            Positions in `texts`, and their vectors: float32 (number of positions, dimension).

        Raises:
            ModelError: the model can't be used.
        """

    @abstractmethod
    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of n questions: float32 (n, dimension), in the order of `texts`."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = self.encode_passages(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        row: list[float] = self.encode_queries([text])[0].tolist()
        return row

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        from asyncio import to_thread

        return await to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        from asyncio import to_thread

        return await to_thread(self.embed_query, text)

    def encode_passages(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        """Vectors of passages.

        Args:
            texts: n passages; the model truncates them at its maximum length.
            progress: Called after each batch with the number of passages it added.

        Returns:
            float32 (n, dimension), rows of length 1, in the order of `texts`.
        """
        import numpy as np

        vectors = np.empty((len(texts), int(self.fingerprint["dimension"])), np.float32)
        for rows, batch in self.encode_batches(texts):
            vectors[rows] = batch
            if progress:
                progress(len(rows))
        return vectors


def as_langchain(embedder: TextEmbeddings) -> TextEmbeddings:
    """The same embedder, after LangChain was told that all such embedders are its `Embeddings`."""
    from langchain_core.embeddings import Embeddings

    Embeddings.register(TextEmbeddings)  # type: ignore[type-abstract]
    return embedder
