"""Embeds texts by a server that speaks the OpenAI API (`/embeddings`), as LangChain `Embeddings`.

Such a server can be given another model under the same name at any time. So each request carries a known text, and
the head of its vector is compared with the one that the index was begun with: see `ServedEmbeddings.fingerprint`.
Nothing is kept here: without the server there are no vectors, and searching and ingesting say so.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.base import TextEmbeddings
from kb_assistant.embedding.model_server import TRIES, ModelServer, ServedModel, ServerError
from kb_assistant.errors import EmbedderMismatch, ModelError
from kb_assistant.messages import _
from kb_assistant.once import once, one_at_a_time
from kb_assistant.text.token_estimate import estimated_tokens

Vectors = NDArray[np.float32]
Fingerprint = Mapping[str, str | int]

BATCH = 32
"""Texts in one request, the known one among them: what common servers take at once."""

AT_ONCE = 4
"""Requests on their way at the same time, so that the server computes while others travel."""

QUESTION_TRIES = 3
"""Somebody waits for a question's vector."""

PROBE = "The ferry to the lighthouse leaves at nine. 去灯塔的渡轮九点开船。"
"""The known text."""

HEAD = 64
"""Numbers of its vector that are kept."""

SAME = 0.999
"""Least cosine of two such heads of one model. Half precision and other batches change it by less than 0.0005,
other weights by far more."""

_TOO_LONG = frozenset((400, 413, 422))
_SHORTEST = 16


@dataclass(frozen=True, slots=True)
class Side:
    """How one kind of texts is embedded: the model's name at the server, and what stands before each text."""

    model: str
    prefix: str = ""


class ServedEncoder:
    """Vectors of texts by a server, and no more. Safe to share between threads.

    Args:
        server: The server.
        name: The model's name there.
        query_prefix, passage_prefix: What the model wants before questions and passages.
    """

    def __init__(self, server: ModelServer, name: str, query_prefix: str = "", passage_prefix: str = "") -> None:
        self.server, self.name = server, name
        self.query_prefix, self.passage_prefix = query_prefix, passage_prefix
        self.question = lru_cache(maxsize=512)(self._question)

    @property
    def heads(self) -> tuple[bytes, bytes]:
        """The heads of the known text's vectors as a question and as a passage: `<f2`, HEAD numbers at most."""
        return self._opened[1]

    @property
    def dimension(self) -> int:
        return self._opened[2]

    @once
    def _opened(self) -> tuple[tuple[Side, Side], tuple[bytes, bytes], int]:
        """How questions and passages are embedded, their heads, and the dimension. `kb serve` has a name for each
        side, and sets the prefixes itself."""
        sides = Side(self.name, self.query_prefix), Side(self.name, self.passage_prefix)
        try:
            first = self._vectors(sides[0], [PROBE], QUESTION_TRIES)
        except ServerError as error:
            if error.status != 404:
                raise
            sides = Side(f"{self.name}:query"), Side(f"{self.name}:passage")
            try:
                first = self._vectors(sides[0], [PROBE], QUESTION_TRIES)
            except ServerError:
                raise error from None
        second = first if sides[0] == sides[1] else self._vectors(sides[1], [PROBE], QUESTION_TRIES)
        if first.shape != second.shape:
            raise self._nonsense()
        return sides, (_head(first[0]), _head(second[0])), first.shape[1]

    def passages(self, texts: Sequence[str]) -> Vectors:
        """float32 (n, dimension), rows of length 1, in the order of `texts`; n < BATCH."""
        return self._checked(1, texts)

    def _question(self, text: str) -> Vectors:
        """float32 (dimension,), of length 1."""
        return np.asarray(self._checked(0, [text], QUESTION_TRIES)[0])

    def _checked(self, side: int, texts: Sequence[str], tries: int = TRIES) -> Vectors:
        """
        Raises:
            EmbedderMismatch: the known text's vector isn't the one that it was before.
        """
        known, vectors = self.heads[side], self._fitting(self._opened[0][side], [PROBE, *texts], tries)
        if vectors.shape[1] != self.dimension or not same_head(known, _head(vectors[0])):
            raise changed(self.name)
        return vectors[1:]

    def _fitting(self, side: Side, texts: list[str], tries: int) -> Vectors:
        """Vectors of texts, some of which may be too long for the model: where the server refuses them, each is
        sent by itself, and by half until it is accepted."""
        try:
            return self._vectors(side, texts, tries)
        except ServerError as error:
            if error.status not in _TOO_LONG or (len(texts) == 1 and len(texts[0]) <= _SHORTEST):
                raise
        if len(texts) == 1:
            return self._fitting(side, [texts[0][: len(texts[0]) // 2]], tries)
        half = len(texts) // 2
        parts = [self._fitting(side, part, tries) for part in (texts[:half], texts[half:])]
        if parts[0].shape[1] != parts[1].shape[1]:
            raise self._nonsense()
        return np.concatenate(parts)

    def _vectors(self, side: Side, texts: list[str], tries: int = TRIES) -> Vectors:
        """One request: float32 (n, dimension), rows of length 1."""
        inputs = [side.prefix + _clean(text) for text in texts]
        body = {"model": side.model, "input": inputs, "encoding_format": "float"}
        answer = self.server.post("/embeddings", body, tries=tries)
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            places = [row["index"] for row in rows]
            found = np.array([row["embedding"] for row in rows])
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise self._nonsense() from error
        if places != list(range(len(texts))) or found.ndim != 2 or found.dtype.kind not in "fiu":
            raise self._nonsense()
        with np.errstate(over="ignore"):
            raw = found.astype(np.float32)
        lengths = np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
        if not np.isfinite(raw).all() or not (lengths > 0).all():
            raise self._nonsense()
        return np.asarray(raw / lengths, np.float32)

    def _nonsense(self) -> ModelError:
        return ModelError(
            _(
                "{name} at {url} doesn't give a vector of numbers for each text.",
                name=self.name,
                url=self.server.url,
            ),
            _("It isn't an embedder, or the server is broken: its log says more."),
        )


class ServedEmbeddings(TextEmbeddings):
    """Embeds passages and questions by a server, for one index. Safe to share between threads.

    Args:
        encoder: Shared by all knowledge bases.
        kept: Gives the fingerprints that the index knows: of its vectors, and of those being built.
        background_cosines: As of `kb_assistant.model_folder.Model`, if the model is known.
    """

    def __init__(
        self,
        encoder: ServedEncoder,
        kept: Callable[[], Iterable[Fingerprint]] = tuple,
        background_cosines: tuple[float, float] | None = None,
    ) -> None:
        self.encoder, self._background_cosines = encoder, background_cosines
        self._kept = kept
        self._agreed: dict[str, str | int] | None = None

    @property
    def fingerprint(self) -> dict[str, str | int]:
        """The model's name at the server, and the heads of two known vectors: nothing else can be seen from here.

        A server rounds a little differently each time. So where the heads are those of a fingerprint that the
        index knows, within `SAME`, that one is given.
        """
        if self._agreed is None:
            mine = self._measured
            same = (dict(one) for one in self._kept() if is_same(one, mine))
            self._agreed = next(same, None)
            return self._agreed or mine
        return self._agreed

    @once
    def _measured(self) -> dict[str, str | int]:
        encoder = self.encoder
        heads = b"".join(encoder.heads)
        facts: dict[str, str | int] = {
            "name": f"openai:{encoder.name}",
            "dimension": encoder.dimension,
            "query_prefix": encoder.query_prefix,
            "passage_prefix": encoder.passage_prefix,
            "probe": base64.b64encode(heads).decode(),
        }
        whole = "\0".join(f"{name}={value}" for name, value in sorted(facts.items()))
        return facts | {"sha256": hashlib.sha256(whole.encode()).hexdigest()}

    @property
    def background_cosines(self) -> tuple[float, float] | None:
        return self._background_cosines

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Estimated tokens of each text, on the safe side: the model's tokenizer isn't known here."""
        return [estimated_tokens(text) for text in texts]

    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Vectors]]:
        """The same batch by batch, longest texts first, several requests at once.

        Yields:
            Positions in `texts`, and their vectors: float32 (number of positions, dimension).

        Raises:
            ModelError: the server doesn't answer, refuses, or gives no vectors.
            EmbedderMismatch: it has another model now.
        """
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        batches = [order[first : first + BATCH - 1] for first in range(0, len(order), BATCH - 1)]
        if not batches:
            return
        waiting: deque[tuple[list[int], Future[Vectors]]] = deque()
        with ThreadPoolExecutor(min(AT_ONCE, len(batches)), thread_name_prefix="embed") as threads:
            try:
                for rows in batches:
                    taken = [texts[row] for row in rows]
                    waiting.append((rows, threads.submit(self.encoder.passages, taken)))
                    if len(waiting) == 2 * AT_ONCE:
                        yield _taken(waiting)
                while waiting:
                    yield _taken(waiting)
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of n questions: float32 (n, dimension), rows of length 1, in the order of `texts`."""
        rows = [self.encoder.question(text) for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), self.encoder.dimension)


def _taken(waiting: deque[tuple[list[int], Future[Vectors]]]) -> tuple[list[int], Vectors]:
    rows, found = waiting.popleft()
    return rows, found.result()


def is_same(kept: Fingerprint, measured: Fingerprint) -> bool:
    """Whether two fingerprints are of one model behind a server, which rounds differently each time."""
    names = measured.keys() - {"probe", "sha256"}
    if kept.keys() != measured.keys() or any(kept[name] != measured[name] for name in names):
        return False
    try:
        before, now = (base64.b64decode(str(one["probe"]), validate=True) for one in (kept, measured))
    except ValueError:
        return False
    half = len(now) // 2
    return (
        len(before) == len(now) and same_head(before[:half], now[:half]) and same_head(before[half:], now[half:])
    )


def same_head(first: bytes, second: bytes) -> bool:
    a, b = (np.frombuffer(head, "<f2").astype(np.float64) for head in (first, second))
    if len(a) != len(b):
        return False
    return bool(a @ b >= SAME * np.linalg.norm(a) * np.linalg.norm(b))


def changed(name: str) -> EmbedderMismatch:
    """The error for a server that has another model now."""
    return EmbedderMismatch(
        _("The server has another model under the name {name!r} than before.", name=name),
        _("Give it the former model, or stop what is running and run `kb rebuild`."),
    )


def _head(vector: Vectors) -> bytes:
    return vector[:HEAD].astype("<f2").tobytes()


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


@one_at_a_time
@lru_cache(maxsize=4)
def open_encoder(
    served: ServedModel, key: str, seconds: float, query_prefix: str = "", passage_prefix: str = ""
) -> ServedEncoder:
    """The model's encoder, opened once for all knowledge bases of this process."""
    return ServedEncoder(ModelServer(served.url, key, seconds), served.model, query_prefix, passage_prefix)
