"""Stand-ins for models: fast, deterministic, and simple enough to check by eye."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from numpy.typing import NDArray
from pydantic import Field

_WORD = re.compile(r"[一-鿿]+|\w+")


def terms(text: str) -> list[str]:
    """Lower-case words; of Chinese runs the pairs of neighbours, or the lone character."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if "一" <= word[0] <= "鿿" and len(word) > 1:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word)
    return found


class HashEmbeddings(Embeddings):
    """`LocalEmbeddings` without a model: each term adds 1 at the place its hash says, then length 1.

    So texts that share terms are similar, and those that share none have cosine 0 but for collisions.

    Attributes:
        embedded: How many texts were embedded so far.
    """

    def __init__(self, name: str = "hash", batch: int = 32, dimension: int = 64) -> None:
        self.name = name
        self.batch = batch
        self.dimension = dimension
        self.embedded = 0

    @property
    def fingerprint(self) -> dict[str, str | int]:
        return {
            "name": self.name,
            "sha256": hashlib.sha256(self.name.encode()).hexdigest(),
            "dimension": self.dimension,
            "query_prefix": "",
            "passage_prefix": "",
        }

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(terms(text)) for text in texts]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.encode_passages(texts).tolist()  # type: ignore[no-any-return]

    def embed_query(self, text: str) -> list[float]:
        return self.encode_queries([text])[0].tolist()  # type: ignore[no-any-return]

    def encode_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for rows, batch in self.encode_batches(texts):
            vectors[rows] = batch
            if progress:
                progress(len(rows))
        return vectors

    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            self.embedded += len(rows)
            yield rows, np.stack([self._vector(texts[row]) for row in rows])

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += len(texts)
        return np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self.dimension)

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self.dimension, np.float32)
        for term in terms(text):
            vector[hashlib.sha256(term.encode()).digest()[0] % self.dimension] += 1
        if not vector.any():
            vector[0] = 1
        return vector / np.float32(np.linalg.norm(vector))


class BlindEmbeddings(HashEmbeddings):
    """Vectors that say nothing: each text's is drawn by its hash, so that only words can find anything."""

    def _vector(self, text: str) -> NDArray[np.float32]:
        drawn = np.random.default_rng(list(hashlib.sha256(text.encode(errors="replace")).digest()[:8]))
        vector = drawn.standard_normal(self.dimension).astype(np.float32)
        return vector / np.float32(np.linalg.norm(vector))


class ScriptedChat(BaseChatModel):
    """A chat model that says its pieces and keeps its prompts.

    Attributes:
        pieces: What it says, one chunk each; an exception among them is raised, a function called, when its turn
            comes.
        languages: Languages it answers in, as chat models of this project tell.
        native_history, full_answers: See kb_assistant.llm.capabilities; as of a small model.
        finish: Why the answer ends, as the last chunk tells; "" tells nothing.
        used: Prompt and completion tokens reported with the last chunk; None reports nothing.
        prompts: The messages of each call.
        said: How many pieces were asked of it.
    """

    pieces: list[Any]
    languages: tuple[str, ...] = ()
    native_history: bool = False
    full_answers: bool = False
    used: tuple[int, int] | None = None
    finish: str = ""
    prompts: list[list[BaseMessage]] = Field(default_factory=list)
    said: int = 0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return generate_from_stream(self._stream(messages, *args, **kwargs))

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        self.prompts.append(messages)
        for piece in self.pieces:
            self.said += 1
            if isinstance(piece, Exception):
                raise piece
            if callable(piece):
                piece()
                continue
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        if self.finish:
            ending = {"finish_reason": self.finish}
            yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata=ending))
        if self.used:
            asked, answered = self.used
            usage: Any = {"input_tokens": asked, "output_tokens": answered, "total_tokens": asked + answered}
            yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))
