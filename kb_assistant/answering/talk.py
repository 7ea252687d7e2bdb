"""Answers without a search: courtesies, what the knowledge base holds, what a document says, more of an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from kb_assistant.answering import documents
from kb_assistant.text.analyzer import analyze, analyze_query
from kb_assistant.text.completion import asks, chosen_place
from kb_assistant.text.conversation import is_unclear, weighing
from kb_assistant.text.dialogue_acts import COURTESIES, Act, dialogue_act
from kb_assistant.text.heading_questions import questions_about
from kb_assistant.text.language import Language, language_of
from kb_assistant.text.replies import Replies, asks_which, replies
from kb_assistant.types import Hit, Turn

if TYPE_CHECKING:
    from kb_assistant.retrieval.federated import FederatedSearcher
    from kb_assistant.retrieval.filters import Filter
    from kb_assistant.retrieval.result import Retrieval
    from kb_assistant.retrieval.searcher import Document, Searcher
    from kb_assistant.store import Chunk, Source

ReplyKind = Literal["answer", "courtesy", "about", "document", "more", "form", "unclear"]

LISTED = 20
"""Most documents listed by title."""

NEWEST = 3
EXAMPLES = 3

OVERVIEW = 12
"""Most documents that an overview of all tells of."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that no model writes.

    Attributes:
        text: With marks `[n]` for `hits[n - 1]`.
        passages: What a chat model may answer from instead; none if the text is the answer.
    """

    kind: ReplyKind
    text: str
    hits: tuple[Hit, ...] = ()
    passages: tuple[Hit, ...] = ()


class Talk:
    """Tells what a turn is meant to do, and answers what needs no search.

    Args:
        library: The documents.
        search: Searches for a question after turns.
    """

    def __init__(
        self,
        library: Searcher | FederatedSearcher,
        search: Callable[[str, Sequence[Turn]], Retrieval],
        where: Sequence[Filter] = (),
    ) -> None:
        self._library, self._search, self._where = library, search, where

    def answer(self, question: str, history: Sequence[Turn]) -> Told | None:
        """The answer to a turn that needs no search of its own; None for any other."""
        act, before = dialogue_act(question), weighing(history)
        language = _language(question, act, history)
        words = replies(language, question)
        if act.kind in COURTESIES:
            return Told("courtesy", words.courtesy(act.kind))
        if chosen := self._chosen(question, history):
            return self._summary(chosen)
        if act.kind == "about":
            return Told("about", self._about(act, words, language))
        if act.kind == "document":
            return self._document(act, before, words)
        if act.kind in ("more", "form"):
            if not before:
                return Told("unclear", words.nothing_before)
            return self._more(before, words) if act.kind == "more" else self._form(before, words)
        if not before and is_unclear(question):
            return Told("unclear", words.unclear)
        return None

    def _about(self, act: Act, words: Replies, language: Language) -> str:
        """How many documents there are, their titles, and what may be asked."""
        sources = self._library.documents(self._where)
        if not sources:
            return words.none
        lines = [words.one if len(sources) == 1 else words.count.format(count=len(sources))]
        if act.newest:
            latest = sorted(sources, key=lambda one: one.ingested_at, reverse=True)[:NEWEST]
            lines += ["", words.newest, *(f"- {documents.label(one)}, {one.ingested_at[:10]}" for one in latest)]
        else:
            lines += ["", words.documents, *_listed(sources, words)]
        if asked := self._examples(sources, language):
            lines += ["", words.examples, *(f"- {one}" for one in asked)]
        return "\n".join(lines)

    def _examples(self, sources: Sequence[Source], language: Language) -> list[str]:
        """Questions about headings of documents spread over all, in the turn's language where there are any."""
        found: dict[str, None] = {}
        for source in sources[:: max(1, len(sources) // (4 * EXAMPLES))]:
            passages = self._library.document(source.path).chunks
            told = ((passage.locator.heading or "", passage.text.body) for passage in passages)
            every = questions_about(told, source.title or PurePath(source.path).stem)
            if asked := [question for heading, question in every.items() if heading != source.title]:
                found[asked[len(asked) // 2]] = None
        spoken = [question for question in found if language_of(question) == language] or list(found)
        return spoken[:: max(1, len(spoken) // EXAMPLES)][:EXAMPLES]

    def _document(self, act: Act, before: Sequence[Turn], words: Replies) -> Told | None:
        sources = self._library.documents(self._where)
        if act.every:
            return self._overview(sources) if sources else Told("about", words.none)
        found = self._meant(act, sources, before)
        if len(found) == 1:
            return self._summary(found[0])
        if found or not act.topic:
            return Told("unclear", "\n".join([words.which, *_listed(found or sources, words)]))
        return None

    def _summary(self, source: Source) -> Told:
        document = self._library.document(source.path)
        return _told("document", documents.summary(document), _passages(document))

    def _overview(self, sources: Sequence[Source]) -> Told:
        """What documents spread over all say first, each in a sentence."""
        if len(sources) == 1:
            return self._summary(sources[0])
        step = -(-len(sources) // OVERVIEW)
        quotes, passages = [], []
        for source in sources[::step]:
            if opening := documents.opening(self._library.document(source.path)):
                text, chunk = opening
                quotes.append((f"- {source.title or documents.label(source)}: {text}", chunk))
                passages.append(documents.as_hit(chunk))
        return _told("document", quotes, tuple(passages))

    def _chosen(self, question: str, history: Sequence[Turn]) -> Source | None:
        """The document that the turn chooses where the last answer asked which one is meant."""
        if not history or not asks_which(history[-1].answer):
            return None
        listed = [line.removeprefix("- ") for line in history[-1].answer.splitlines() if line.startswith("- ")]
        place = chosen_place(question, len(listed))
        if place is None and not asks(question):
            place = _best_named(question, listed)
        if place is None:
            return None
        sources = self._library.documents(self._where)
        return next((one for one in sources if documents.label(one) == listed[place]), None)

    def _meant(self, act: Act, sources: Sequence[Source], before: Sequence[Turn]) -> list[Source]:
        if not act.topic:
            path = self._talked_of(before)[0].source if before else ""
            return [one for one in sources if one.path == path or len(sources) == 1]
        found = documents.named(sources, act.topic, act.named)
        if not found and act.named == "loosely" and (maybe := documents.perhaps_named(sources, act.topic)):
            hits = self._search(act.topic, ()).hits
            found = [one for one in maybe if hits and one.path == hits[0].source]
        return found

    def _more(self, before: Sequence[Turn], words: Replies) -> Told:
        """What follows in the document that was talked of."""
        hits = self._talked_of(before)
        told = "\n".join(turn.answer for turn in before)
        document = self._library.document(hits[0].source)
        next_ones = documents.following(document, told, documents.place_of(document, before[-1].answer))
        if not next_ones:
            return Told("more", words.no_more)
        passages = tuple(
            {hit.id: hit for hit in (*hits, *(documents.as_hit(chunk) for _, chunk in next_ones))}.values()
        )
        return _told("more", next_ones, passages)

    def _form(self, before: Sequence[Turn], words: Replies) -> Told:
        return Told("form", words.needs_model, passages=self._talked_of(before))

    def _talked_of(self, before: Sequence[Turn]) -> tuple[Hit, ...]:
        """The passages of the last answer: those that it cites, or, where they aren't known, those found for its
        question that hold some of it."""
        if before[-1].hits:
            return before[-1].hits
        asked = [place for place, turn in enumerate(before) if turn.question]
        last = asked[-1] if asked else 0
        question = before[last].question or before[last].answer
        if (act := dialogue_act(question)).kind == "document" and act.topic:
            found = self._meant(act, self._library.documents(self._where), ())
            if len(found) == 1:
                return _passages(self._library.document(found[0].path))
        hits = self._search(question, before[:last]).hits
        holding = [hit for hit in hits if documents.holds_some(hit.text, before[-1].answer)]
        return tuple(holding) or hits


def _best_named(words: str, labels: Sequence[str]) -> int | None:
    """The place of the label that shares most of the words; None if none does, or several share as many."""
    wanted = set(analyze_query(words))
    shared = [len(wanted & set(analyze(label))) for label in labels]
    most = max(shared, default=0)
    return shared.index(most) if most and shared.count(most) == 1 else None


def _told(kind: ReplyKind, quotes: Sequence[tuple[str, Chunk]], passages: tuple[Hit, ...]) -> Told:
    hits = tuple({chunk.id: documents.as_hit(chunk) for _, chunk in quotes}.values())
    number = {hit.id: n for n, hit in enumerate(hits, start=1)}
    return Told(kind, "\n".join(f"{text} [{number[chunk.id]}]" for text, chunk in quotes), hits, passages)


def _passages(document: Document) -> tuple[Hit, ...]:
    """All passages of a document, the central ones first."""
    return tuple(documents.as_hit(document.chunks[place]) for place in documents.central(document))


def _listed(sources: Sequence[Source], words: Replies) -> list[str]:
    lines = [f"- {documents.label(one)}" for one in sources[:LISTED]]
    left = len(sources) - LISTED
    return [*lines, f"- {words.further.format(count=left)}"] if left > 0 else lines


def _language(question: str, act: Act, history: Sequence[Turn]) -> Language:
    """The turn's language; that of the conversation for an "ok" or a sign, which have none."""
    spoken = language_of(question)
    if act.kind in COURTESIES and spoken == "en" and history and len(question.split()) == 1:
        return language_of(history[-1].question)
    return spoken
