"""Everyday questions and dialogues: whether answers hold the fact, and turns are taken as they were meant.

Everything is judged by what `kb ask` returns: whether it is refused, what it cites, and its text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.answering.reply import Reply
from kb_assistant.evaluate.answers import open_model
from kb_assistant.evaluate.datasets import Dialogue, Expected, Question
from kb_assistant.evaluate.metrics import Estimate, estimate
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.store import DOCUMENT_PREFIX, Source
from kb_assistant.text.analyzer import fold
from kb_assistant.text.language import language_of
from kb_assistant.text.marks import unmarked
from kb_assistant.text.sentences import sentences
from kb_assistant.types import Hit, Turn

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_BESIDE_CHINESE = re.compile(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])")

FIRST = 5
"""Passages among which the right one counts as found."""

_SHORT = 200
"""Most characters of a courtesy."""

_NAMED = 2
"""Documents that a reply about the knowledge base names at least, if it has as many."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A question or dialogue that went wrong: its turns, what was expected, and the last answer."""

    turns: tuple[str, ...]
    expected: str
    answer: str

    def to_json(self) -> dict[str, Any]:
        return {"turns": list(self.turns), "expected": self.expected, "answer": self.answer}


@dataclass(frozen=True, slots=True)
class Everyday:
    """How one model did.

    Attributes:
        shares: Shares of the questions "refused", whose answer "holds the fact", and whose right passage is "right
            passage first" or "right passage among 5"; and of the "dialogues" as expected, all and by kind.
        misses: What went wrong.
    """

    model: str
    shares: Mapping[str, Estimate]
    misses: tuple[Miss, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "shares": {name: share.to_json() for name, share in self.shares.items()},
            "misses": [miss.to_json() for miss in self.misses],
        }


def measure_everyday(
    questions: Sequence[Question],
    dialogues: Sequence[Dialogue],
    kb: KnowledgeBase,
    name: str,
    done: Callable[[], None] = lambda: None,
) -> Everyday:
    """Ask questions whose `answers` are facts that the answer must hold, and hold dialogues.

    Args:
        name: The chat model.
        done: Called after each question and each dialogue.

    Raises:
        ModelError: the model is missing or can't answer.
    """
    model = open_model(kb, name)
    seen: defaultdict[str, list[float]] = defaultdict(list)
    misses: list[Miss] = []
    for question in questions:
        found = kb.retrieve(question.text, FIRST, read=True).hits
        right = [_is_right(hit, question) for hit in found]
        reply = _ask(kb, model, question.text, ())
        held = not reply.refused and holds(unmarked(reply.answer), question.answers)
        seen["refused"].append(reply.refused)
        seen["holds the fact"].append(held)
        seen["right passage first"].append(any(right[:1]))
        seen[f"right passage among {FIRST}"].append(any(right))
        if not held:
            misses.append(Miss((question.text,), " | ".join(question.answers), reply.answer))
        done()
    sources = [source for source in kb.sources() if source.chunks] if dialogues else []
    for dialogue in dialogues:
        replies = _hold(kb, model, dialogue)
        good = as_expected(dialogue, replies, sources)
        seen["dialogues"].append(good)
        seen[f"dialogues: {dialogue.expect}"].append(good)
        if not good:
            wanted = " ".join((dialogue.expect, " | ".join(dialogue.holds))).strip()
            misses.append(Miss(dialogue.turns, wanted, replies[-1].answer))
        done()
    return Everyday(name, {measure: estimate(values) for measure, values in seen.items()}, tuple(misses))


def as_expected(dialogue: Dialogue, replies: Sequence[Reply], sources: Sequence[Source]) -> bool:
    """Whether the last reply is what the dialogue expects.

    Args:
        replies: To each turn.
        sources: The documents of the knowledge base that have passages.
    """
    return _JUDGES[dialogue.expect](dialogue, replies, sources)


def holds(text: str, facts: Sequence[str]) -> bool:
    """Whether a text holds one of the facts: the same characters but for case, width and spaces, and not within a
    longer word or number.

    >>> holds("It costs 16 euros.", ["6 euros"])
    False
    """
    said = _plain(text)
    return any(re.search(_bounded(_plain(fact)), said) for fact in facts)


def names_of(path: str, title: str = "") -> tuple[str, ...]:
    """The names by which people speak of a document: its title, its file's name, and that without its type."""
    file = Path(path.removeprefix(DOCUMENT_PREFIX))
    return tuple(name for name in dict.fromkeys((title, file.name, file.stem)) if name)


def _ask(kb: KnowledgeBase, model: BaseChatModel, question: str, history: Sequence[Turn]) -> Reply:
    """As `kb ask` answers, with this model."""
    return Reply(kb.as_chain(chat_model=model), question, history)


def _hold(kb: KnowledgeBase, model: BaseChatModel, dialogue: Dialogue) -> list[Reply]:
    replies: list[Reply] = []
    for turn in dialogue.turns:
        replies.append(_ask(kb, model, turn, [reply.turn for reply in replies]))
    return replies


def _is_right(hit: Hit, question: Question) -> bool:
    """Whether a passage holds the fact, in a right document where the question names any."""
    right = not question.right or not {hit.source, *hit.also_in}.isdisjoint(question.right)
    return right and holds(hit.text, question.answers)


def _courtesy(dialogue: Dialogue, replies: Sequence[Reply], sources: Sequence[Source]) -> bool:
    """A short word back, in a language of the conversation; nothing is searched or cited."""
    del sources
    last = replies[-1]
    spoken = {language_of(turn) for turn in dialogue.turns}
    return (
        not last.refused
        and not last.hits
        and not last.citations
        and 0 < len(last.answer) <= _SHORT
        and language_of(last.answer) in spoken
    )


def _off_topic(dialogue: Dialogue, replies: Sequence[Reply], sources: Sequence[Source]) -> bool:
    del dialogue, sources
    return replies[-1].refused


def _about(dialogue: Dialogue, replies: Sequence[Reply], sources: Sequence[Source]) -> bool:
    """What the knowledge base holds: what the dialogue names, or else two documents or how many there are."""
    last = replies[-1]
    if last.refused or dialogue.holds:
        return not last.refused and holds(last.answer, dialogue.holds)
    named = sum(holds(last.answer, names_of(source.path, source.title)) for source in sources)
    counted = not last.citations and holds(last.answer, (str(len(sources)),))
    return counted or named >= min(_NAMED, len(sources))


def _document(dialogue: Dialogue, replies: Sequence[Reply], sources: Sequence[Source]) -> bool:
    """Most citations are of the document."""
    titles = {source.path: source.title for source in sources}
    cited = [
        any(
            holds(name, dialogue.holds)
            for path in (one.hit.source, *one.hit.also_in)
            for name in names_of(path, titles.get(path, ""))
        )
        for one in replies[-1].citations
    ]
    return not replies[-1].refused and 2 * sum(cited) > len(cited)


def _more(dialogue: Dialogue, replies: Sequence[Reply], sources: Sequence[Source]) -> bool:
    """More of the document, and nothing that was already said."""
    told = {said for reply in replies[:-1] for said in _said(reply)}
    return _document(dialogue, replies, sources) and told.isdisjoint(_said(replies[-1]))


def _answer(dialogue: Dialogue, replies: Sequence[Reply], sources: Sequence[Source]) -> bool:
    del sources
    return not replies[-1].refused and holds(unmarked(replies[-1].answer), dialogue.holds)


def _unclear(dialogue: Dialogue, replies: Sequence[Reply], sources: Sequence[Source]) -> bool:
    """A refusal, or a request to say what is meant: it cites nothing, and asks or is given without a search."""
    del dialogue, sources
    last = replies[-1]
    return last.refused or (not last.citations and (not last.hits or bool(re.search("[?？]", last.answer))))


_JUDGES: Mapping[Expected, Callable[[Dialogue, Sequence[Reply], Sequence[Source]], bool]] = {
    "courtesy": _courtesy,
    "off-topic": _off_topic,
    "about": _about,
    "document": _document,
    "more": _more,
    "answer": _answer,
    "unclear": _unclear,
}


def _said(reply: Reply) -> set[str]:
    return {_plain(one) for one in sentences(unmarked(reply.answer))}


def _plain(text: str) -> str:
    """Folded, in lower case; spaces are single, and none is beside a Chinese character."""
    return _BESIDE_CHINESE.sub("", " ".join(fold(text).casefold().split()))


def _bounded(fact: str) -> str:
    """The pattern of a fact that is no part of a longer word or number."""
    before = r"(?<![0-9a-z])(?<![0-9][.,])" if fact[:1].isascii() and fact[:1].isalnum() else ""
    after = r"(?![.,]?[0-9])" if fact[-1:].isascii() and fact[-1:].isdigit() else ""
    return f"{before}{re.escape(fact)}{after}"
