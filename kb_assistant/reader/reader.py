"""Reads passages with a question: how relevant each is, whether it holds the answer, and where."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.onnx_encoder import open_session
from kb_assistant.embedding.shape import Shape
from kb_assistant.errors import ModelError
from kb_assistant.lock import survive_forks
from kb_assistant.messages import _
from kb_assistant.once import once, one_at_a_time
from kb_assistant.processor import usable_cores
from kb_assistant.reader.graph import ReaderGraph
from kb_assistant.reader.inputs import InputEncoder, ReaderInput

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BASE = "multilingual-e5-small"
"""The embedder that the reader was trained on."""

WEIGHTS = Path(__file__).with_name("weights.safetensors")

SURELY_READ = 6
"""So many windows are read however long it takes."""

LONGEST_ANSWER = 40
"""Most tokens of an answer."""

_NEARLY = 2.0
"""How much less likely a second answer may be, as a difference of logits."""

_LATER_WINDOW = 5
"""A passage's second window is read after the first windows of so many passages behind it."""

_of_the_parent: list[object] = []
"""Sessions that a forked child inherited. Freeing one would wait for threads that don't exist."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader says of one passage.

    Attributes:
        relevance: Logit that the passage is on what is asked.
        answer: Logit that it holds the answer.
        span: Start and end of the likeliest answer, in characters of the passage.
        span_score: Logit of the span less that of there being none.
        also: The likeliest answer that shares no token with the span, if its logit is less by at most _NEARLY.
    """

    relevance: float
    answer: float
    span: tuple[int, int]
    span_score: float
    also: tuple[int, int] | None = None


class Reader:
    """Safe to share between threads.

    Each window of a passage is one run on one thread: what the reader says of it doesn't depend on what else is
    read, nothing is filled up to a common length, and no thread waits for another's part. Windows of all who ask
    are read in the order in which they come.

    Args:
        folder: The folder of the embedder that the reader was trained on, multilingual-e5-small.
        weights: What was learned, a safetensors file.
        threads: How many windows are read at once; 0 takes all cores.
    """

    def __init__(self, folder: Path, weights: Path = WEIGHTS, threads: int = 0) -> None:
        self._folder, self._weights, self._threads = folder, weights, threads
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: weights are only read."""

    def after_fork(self) -> None:
        """Continue in a forked child, which has one thread: the session is reopened."""
        _of_the_parent.extend(vars(self).pop(name) for name in ("_session", "_workers") if name in vars(self))

    def read(
        self,
        question: str,
        passages: Sequence[tuple[str, str]],
        earlier: Sequence[str] = (),
        seconds: float = float("inf"),
    ) -> list[Reading | None]:
        """A reading of each (heading, passage); None for those that the time doesn't suffice for. The first ones
        are read first. Of a long passage the window with most of the question's words is read first.

        Args:
            earlier: The texts of the turns before, oldest first.
            seconds: After this time no further run starts, but of the first windows.

        Raises:
            ModelError: the model can't be loaded.
        """
        encoder, session = self._encoder, self._session  # loaded by this thread alone, outside of the time
        deadline = time.monotonic() + seconds
        order = _in_order(encoder.encode(question, earlier, passages))

        def read(number: int, made: ReaderInput) -> Reading | None:
            in_time = number < SURELY_READ or time.monotonic() < deadline
            return _reading(made, _logits(session, made.ids)) if in_time else None

        readings = self._workers.map(read, range(len(order)), (made for _place, made in order))
        found: list[Reading | None] = [None] * len(passages)
        for (place, _made), reading in zip(order, readings, strict=True):
            found[place] = _better(found[place], reading)
        return found

    def open(self) -> None:
        """Load the network now. If it can't be loaded, reading says why."""
        with suppress(ModelError):
            self._session  # noqa: B018

    @once
    def _encoder(self) -> InputEncoder:
        with self._load_errors():
            return InputEncoder(self._folder)

    @once
    def _session(self) -> InferenceSession:
        from safetensors.numpy import load_file

        with self._load_errors():
            shape = Shape.read(self._folder)
            if shape is None:
                raise ValueError("another kind of encoder")
            graph = ReaderGraph(self._folder, shape, load_file(self._weights))
            return open_session(graph, self._folder, threads=1)

    @once
    def _workers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads or usable_cores(), thread_name_prefix="reader")

    @contextmanager
    def _load_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # onnxruntime, safetensors and tokenizers have no common error class
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                _("The reader can't be loaded from {path}: {reason}", path=self._folder, reason=reason),
                _("Install its files again: kb models rm {name}, then kb models pull {name}", name=BASE),
            ) from error


def _logits(session: InferenceSession, ids: Sequence[int]) -> NDArray[np.float32]:
    """float32 (tokens, 4); see kb_assistant.reader.graph.HEADS."""
    positions = np.arange(len(ids), dtype=np.int64)
    ((logits,),) = session.run(["logits"], {"ids": np.array([ids], np.int64), "positions": positions[None]})
    return np.asarray(logits, np.float32)


def _in_order(windows: Sequence[Sequence[ReaderInput]]) -> list[tuple[int, ReaderInput]]:
    """All windows with the places of their passages, in the order of reading."""
    ranked = []
    for place, of_passage in enumerate(windows):
        by_words = sorted(of_passage, key=lambda made: -made.shared)
        ranked += [(place + later * _LATER_WINDOW, later, place, made) for later, made in enumerate(by_words)]
    ranked.sort(key=lambda one: one[:3])
    return [(place, made) for __, __, place, made in ranked]


def _better(one: Reading | None, other: Reading | None) -> Reading | None:
    """The reading of two windows: the one likelier to hold the answer."""
    return other if one is None or (other is not None and other.answer > one.answer) else one


def _reading(made: ReaderInput, logits: NDArray[np.float32]) -> Reading:
    relevance, answer, none = float(logits[0, 0]), float(logits[0, 1]), float(logits[0, 2] + logits[0, 3])
    start, end = made.body, made.body + len(made.offsets)
    if start == end:
        return Reading(relevance, answer, (0, 0), -none)
    scores = logits[start:end, 2, None] + logits[None, start:end, 3]
    possible = np.triu(np.ones(scores.shape, bool)) & ~np.triu(np.ones(scores.shape, bool), LONGEST_ANSWER)
    scores = np.where(possible, scores, -np.inf)
    first, last, best = _likeliest(scores)
    scores[first : last + 1], scores[:, first : last + 1] = -np.inf, -np.inf
    next_first, next_last, second = _likeliest(scores)
    also = made.offsets[next_first][0], made.offsets[next_last][1]
    near = second >= best - _NEARLY and second > none
    span = made.offsets[first][0], made.offsets[last][1]
    return Reading(relevance, answer, span, best - none, also if near else None)


def _likeliest(scores: NDArray[np.float32]) -> tuple[int, int, float]:
    """First and last token of the likeliest answer, and its logit."""
    first, last = np.unravel_index(int(scores.argmax()), scores.shape)
    return int(first), int(last), float(scores[first, last])


def open_reader(folder: Path, threads: int = 0, weights: Path = WEIGHTS) -> Reader:
    """The reader on this embedder's folder, loaded once for all knowledge bases of this process."""
    return _open(folder.resolve(), threads, weights, weights.stat().st_mtime_ns)


@one_at_a_time
@lru_cache(maxsize=2)
def _open(folder: Path, threads: int, weights: Path, _changed: int) -> Reader:
    reader = Reader(folder, weights, threads)
    Thread(target=reader.open, name="open-reader", daemon=True).start()  # beside the search
    return reader
