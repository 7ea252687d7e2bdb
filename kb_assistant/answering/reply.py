"""A streaming answer: the turn as an object."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from langchain_core.messages import BaseMessage
from langchain_core.runnables.utils import AddableDict

from kb_assistant.answering.chain import AnswerChain
from kb_assistant.answering.history import History
from kb_assistant.answering.modes import Origin
from kb_assistant.answering.talk import ReplyKind
from kb_assistant.retrieval.filters import Filter
from kb_assistant.types import Citation, Dropped, Hit, Turn, Usage


class Reply:
    """A streaming answer. Iterate over it for the text; the search results are available before the first word.

    Attributes:
        question: As asked.
        queries: The forms of it that were searched.
        hits: The passages given to the model; citation [n] means hits[n - 1].
        dropped: Turns and passages that didn't fit.
        note: What the reader should know about the way of answering, or "".
        evidence: Probability, from 0 to 1, that the passages are relevant to the question.
        kind: "answer" to a question; "courtesy", "about" (the knowledge base), "document" (what one says), "more",
            "form" (a wish about it), or "unclear" for a question back. Only "answer" is searched for.
        uncertain: True if their relevance is uncertain: the answer needs checking.
        origin: Where the answer is from: "documents", "model" (by itself, no citations), or "none" for a refusal
            and for what needs neither.
        prompt: What the chat model is given, once the text is iterated over; empty if no chat model answers.
    """

    def __init__(
        self,
        chain: AnswerChain,
        question: str,
        history: History = (),
        where: Sequence[str | Filter] = (),
        answers: str = "",
        k: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.question = question
        self._stop = threading.Event()
        asked_for = {"question": question, "history": history, "where": where, "answers": answers, "k": k}
        self._told_to_stop = stop
        self._pieces = chain.stream(asked_for, stop=lambda: self.stopped)
        header = next(self._pieces)
        self.queries: tuple[str, ...] = header["queries"]
        self.hits: tuple[Hit, ...] = header["hits"]
        self.dropped: Dropped = header["dropped"]
        self.note: str = header["note"]
        self.evidence: float = header["evidence"]
        self.uncertain: bool = header["uncertain"]
        self.kind: ReplyKind = header["kind"]
        self.origin: Origin = header["origin"]
        self.prompt: tuple[BaseMessage, ...] = header["prompt"]
        self._text = ""
        self._end: AddableDict | None = None

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            if "answer" in piece:
                self._text += piece["answer"]
                yield piece["answer"]
            else:
                self._end = piece

    def __str__(self) -> str:
        return self.answer

    def stop(self) -> None:
        """End the answer after the current token. Its text stays; may be called from another thread."""
        self._stop.set()

    @property
    def query(self) -> str:
        """The most complete searched form of the question."""
        return self.queries[-1] if self.queries else self.question

    @property
    def answer(self) -> str:
        """The whole text; waits for the rest of it."""
        self._finish()
        return self._text.strip()

    @property
    def stopped(self) -> bool:
        """True if it was ended early."""
        return self._stop.is_set() or self._told_to_stop()

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The passages the answer cites, in order of first mention; waits for the rest of it."""
        return cast("tuple[Citation, ...]", self._finish()["citations"])

    @property
    def refused(self) -> bool:
        """True if nothing relevant was found and no model was asked."""
        return bool(self._finish()["refused"])

    @property
    def cut(self) -> bool:
        """True if the answer ended at `max_tokens`: the next turn "continue" gives the rest."""
        return bool(self._finish()["cut"])

    @property
    def usage(self) -> Usage:
        """Tokens and seconds; waits for the rest of the answer."""
        return cast(Usage, self._finish()["usage"])

    @property
    def turn(self) -> Turn:
        """Question and answer as history for the next question; waits for the rest of the answer."""
        citations = self.citations
        hits, numbers = tuple(one.hit for one in citations), tuple(one.n for one in citations)
        shown = self.hits if self.origin == "documents" and self.kind == "answer" else ()
        return Turn(self.question, self.answer, hits, numbers, self.cut or self.stopped, shown)

    def to_json(self) -> dict[str, Any]:
        return {
            "answer": self.answer,
            "kind": self.kind,
            "refused": self.refused,
            "evidence": round(self.evidence, 4),
            "uncertain": self.uncertain,
            "origin": self.origin,
            "stopped": self.stopped,
            "cut": self.cut,
            "citations": [citation.to_json() for citation in self.citations],
            "hits": [hit.to_json() for hit in self.hits],
            "query": self.query,
            "queries": list(self.queries),
            "dropped": self.dropped.to_json(),
            "note": self.note,
            "usage": self.usage.to_json(),
        }

    def _finish(self) -> AddableDict:
        for _ in self:
            pass
        if self._end is None:  # an exception ended the iterator
            self._end = AddableDict(citations=(), refused=False, usage=Usage(), cut=False)
        return self._end
