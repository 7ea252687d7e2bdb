"""Whole documents: which one a question names, what it says in a few of its own sentences, what comes next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from kb_assistant.text.analyzer import analyze_query, fold
from kb_assistant.text.marks import unmarked
from kb_assistant.text.sentences import sentences
from kb_assistant.types import Hit, Locator

if TYPE_CHECKING:
    from kb_assistant.retrieval.searcher import Document
    from kb_assistant.store import Chunk, Source
    from kb_assistant.text.dialogue_acts import Naming

OPENING = 2
"""Sentences of a summary from the document's beginning."""

SECTIONS = 4
"""Most sections that give a summary one sentence each."""

CHARACTERS = 700
"""Most characters of a summary, or of what comes next."""

PIECES = 4
"""Most sentences of what comes next."""

LOOSELY = 0.5
"""Least share of a topic's words in the name of a document that it may mean."""

_SHORT = 5
"""Fewer words are a label, not a sentence."""

_STOP = re.compile(r"[.!。！；;…][”’」』）)\"'*_]*$")
_QUESTION = re.compile(r"[?？:：][*_]*$")


def named(sources: Sequence[Source], topic: str, naming: Naming) -> list[Source]:
    """The documents that the words of a topic name, by file name or title; several if it is ambiguous."""
    exact = [one for one in sources if topic in (fold(part).casefold() for part in _names(one))]
    if exact:
        return exact
    wanted = set(analyze_query(topic))
    if not wanted:
        return []
    known = [(one, [set(analyze_query(name)) for name in _names(one)]) for one in sources]
    equal = [one for one, names in known if any(wanted == name for name in names)]
    if equal or naming == "exactly":
        return equal
    return [one for one, names in known if wanted <= set().union(*names)]


def perhaps_named(sources: Sequence[Source], topic: str) -> list[Source]:
    """The documents whose names have at least LOOSELY of a topic's words."""
    wanted = set(analyze_query(topic))
    names = [(one, set().union(*(analyze_query(name) for name in _names(one)))) for one in sources]
    return [one for one, words in names if len(wanted & words) >= LOOSELY * len(wanted) > 0]


def _names(source: Source) -> tuple[str, ...]:
    path = PurePath(source.path.removeprefix("document:"))
    return (path.name, path.stem, source.title, source.title.partition(":")[0])


def label(source: Source) -> str:
    """`Travel policy (travel-policy.docx)`: title and file name."""
    name = PurePath(source.path.removeprefix("document:")).name
    return f"{source.title} ({name})" if source.title and source.title != name else name


def as_hit(chunk: Chunk) -> Hit:
    """A passage that was asked for, not searched."""
    return Hit(chunk.id, chunk.text.body, chunk.source, chunk.locator, 1.0)


def central(document: Document) -> list[int]:
    """Places of the passages, from the one nearest to the mean of all (a centroid: Radev et al., 2004)."""
    import numpy as np

    return [int(place) for place in np.argsort(-(document.vectors @ document.vectors.mean(axis=0)), kind="stable")]


def summary(document: Document) -> list[tuple[str, Chunk]]:
    """A few sentences of a document in reading order, each with its passage: its opening, then the most telling
    sentence of each of the most central sections."""
    units = [_prose(chunk) for chunk in document.chunks]
    filled = [place for place, some in enumerate(units) if some]
    if not filled:
        return []
    frequent = Counter(word for some in units for text in some for word in set(analyze_query(text)))
    picked = [(filled[0], text) for text in units[filled[0]][:OPENING]]
    sections = {_section(document, filled[0])}
    for place in central(document):
        section = _section(document, place)
        if not units[place] or section in sections:
            continue
        best = max(units[place], key=lambda text: _told_of(text, frequent))
        if len(sections) > SECTIONS or sum(len(text) for _, text in [*picked, (0, best)]) > CHARACTERS:
            break
        sections.add(section)
        picked.append((place, best))
    return [(text, document.chunks[place]) for place, text in sorted(picked, key=lambda one: one[0])]


def opening(document: Document) -> tuple[str, Chunk] | None:
    """A document's first sentence, with its passage; None if it has none."""
    return next(((text, chunk) for chunk in document.chunks for text in _prose(chunk)), None)


def _section(document: Document, place: int) -> object:
    """What tells the section of a passage from others."""
    where = replace(document.chunks[place].locator, lines=None)
    return where if where != Locator() else place


def _told_of(text: str, frequent: Counter[str]) -> float:
    """Mean frequency of a sentence's words in the document (SumBasic: Nenkova and Vanderwende, 2005)."""
    words = set(analyze_query(text))
    return sum(frequent[word] for word in words) / len(words) if words else 0.0


def following(document: Document, told: str, start: int) -> list[tuple[str, Chunk]]:
    """The next sentences that `told` doesn't hold yet, each with its passage: from the passage at `start` to the
    end, then from the beginning."""
    held = _bare(told)
    found: list[tuple[str, Chunk]] = []
    for text, chunk in _round(document.chunks, start):
        if len(found) == PIECES or sum(len(one) for one, _ in found) + len(text) > CHARACTERS:
            break
        if _bare(text) not in held and all(text != one for one, _ in found):
            found.append((text, chunk))
    return found


def place_of(document: Document, told: str) -> int:
    """The place of the passage that holds the first sentence of an answer that the document holds; 0 for none."""
    texts = [_bare(chunk.text.body) for chunk in document.chunks]
    for sentence in sentences(unmarked(told)):
        for place, text in enumerate(texts):
            if _bare(sentence) in text:
                return place
    return 0


def holds_some(text: str, answer: str) -> bool:
    """Whether a text holds a sentence of an answer."""
    held = _bare(text)
    return any(_bare(one) in held for one in sentences(unmarked(answer)))


def _round(chunks: Sequence[Chunk], start: int) -> Iterator[tuple[str, Chunk]]:
    for chunk in (*chunks[start:], *chunks[:start]):
        for text in _prose(chunk):
            yield text, chunk


def _prose(chunk: Chunk) -> list[str]:
    """The sentences of a passage, without headings, labels and questions; its longer lines if it has no prose."""
    heading = chunk.locator.heading or ""
    found = [
        text for text in sentences(unmarked(chunk.text.body)) if text not in heading and not _QUESTION.search(text)
    ]
    return [text for text in found if _STOP.search(text)] or [
        text for text in found if len(analyze_query(text)) >= _SHORT
    ]


def _bare(text: str) -> str:
    return re.sub(r"[\s*_`|#>-]+", "", text)
