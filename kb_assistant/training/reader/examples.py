"""Pairs of question and passage for the reader, made from sets of questions (kb_assistant.evaluate.datasets).

A group holds the pairs of one question. Questions are also put as people type them: without names that the heading
says, as words only, in lower case, politely, in traditional characters, with slips; after other questions, and off
the subject of those.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kb_assistant.evaluate.datasets import EvalDocument, Question
from kb_assistant.text.analyzer import is_cjk
from kb_assistant.text.language import language_of
from kb_assistant.text.sentences import sentences
from kb_assistant.training.reader.pairs import Group, Pair, near_miss
from kb_assistant.training.reader.typed import as_typed
from kb_assistant.training.reader.written import WIDER, open_set

Nearest = Callable[[Sequence[str], Sequence[str], int], list[list[int]]]
"""From questions, texts and a number to the places of the nearest texts, for each question."""

_WINDOW = (100, 700)
"""Shortest and longest passages, in characters of English text; Chinese ones have a third of them."""
_NEAREST = 8


def held_out(name: str, title: str) -> bool:
    """Whether a document serves for measuring only: a tenth of each set, by its title."""
    return hashlib.sha256(f"{name}/{title}".encode()).digest()[0] < 26


def tfidf_nearest(questions: Sequence[str], texts: Sequence[str], count: int) -> list[list[int]]:
    """The nearest texts by words."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]

    from kb_assistant.text.analyzer import analyze

    vectorizer = TfidfVectorizer(analyzer=analyze, sublinear_tf=True, dtype=np.float32)
    rows = vectorizer.fit_transform(texts).T.tocsc()
    found = []
    for start in range(0, len(questions), 256):
        scores = (vectorizer.transform(questions[start : start + 256]) @ rows).toarray()
        best = np.argpartition(-scores, min(count, scores.shape[1] - 1), axis=1)[:, :count]
        found += [row[np.argsort(-score[row])].tolist() for row, score in zip(best, scores, strict=True)]
    return found


@dataclass
class _Set:
    """A set with what examples are made of."""

    name: str
    documents: list[EvalDocument]
    questions: list[Question]
    places: dict[str, int] = field(default_factory=dict)
    by_title: dict[str, list[int]] = field(default_factory=dict)


def examples(
    folders: Sequence[Path], nearest: Nearest, random_: random.Random, kept: Callable[[str, str], bool]
) -> Iterator[Group]:
    """The groups of all sets, set by set.

    Args:
        folders: The sets: folders in BEIR's form, or of text files of written examples.
        nearest: The search that finds passages which are near, but wrong.
        kept: Whether a document of a set, by the set's name and the document's title or id, may be used.
    """
    sets = [_read(folder, kept) for folder in folders]
    for one in sets:
        others = [other for other in sets if other is not one] or [one]
        yield from _groups(one, others, nearest, random_)


def _read(folder: Path, kept: Callable[[str, str], bool]) -> _Set:
    read = open_set(folder)
    documents = [one for one in read.documents() if kept(folder.name, one.title or one.id)]
    made = _Set(folder.name, documents, [])
    made.places = {one.id: place for place, one in enumerate(documents)}
    titles: defaultdict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(documents):
        titles[one.title].append(place)
    made.by_title = dict(titles)
    made.questions = [one for one in read.questions if _document(made, one) is not None]
    return made


def _document(one: _Set, question: Question) -> int | None:
    """Place of the document that the question was asked on."""
    for name in (*question.right, question.context):
        if name in one.places:
            return one.places[name]
    return None


def _groups(one: _Set, others: Sequence[_Set], nearest: Nearest, random_: random.Random) -> Iterator[Group]:
    searched = [_standing_alone(question) for question in one.questions]
    near = nearest(searched, [f"{doc.title}\n{doc.text}" for doc in one.documents], _NEAREST)
    for question, found in zip(one.questions, near, strict=True):
        place = _document(one, question)
        assert place is not None
        group = _group(question, one.documents[place], _wrong(one, question, place, found, random_), random_)
        if not group[0].earlier and random_.random() < 0.25:
            before = _other_turn(random_.choice(one.questions), one, random_)
            group = [replace(pair, earlier=before) for pair in group]
        yield tuple(as_typed(group, random_))
        if random_.random() < 0.12:
            yield (_off_topic(group[0], random_.choice(others), random_),)
        missed = near_miss(group[0], random_) if random_.random() < 0.3 else None
        if missed:
            yield tuple(as_typed([missed], random_))


def _wrong(
    one: _Set, question: Question, place: int, near: Sequence[int], random_: random.Random
) -> EvalDocument | None:
    """A document that doesn't answer the question: of the same title, near to it, or any."""
    right = {one.places[name] for name in question.right if name in one.places} | {place}
    title = one.documents[place].title
    beside = [other for other in one.by_title[title] if other not in right] if title else []
    close = [other for other in near if other not in right][:4]
    choice = random_.random()
    if choice < 0.25 and beside:
        chosen = random_.choice(beside)
    elif choice < 0.9 and close:
        chosen = random_.choice(close)
    else:
        chosen = random_.randrange(len(one.documents))
    text = one.documents[chosen].text
    holds = question.answerable and any(len(answer) > 1 and answer in text for answer in question.answers)
    return None if holds or chosen in right else one.documents[chosen]


def _standing_alone(question: Question) -> str:
    return " ".join([*(turn.question for turn in question.history[-2:]), question.text])


def _other_turn(question: Question, one: _Set, random_: random.Random) -> tuple[str, ...]:
    """A turn on something else, perhaps with a sentence for its answer."""
    place = _document(one, question)
    said = sentences(one.documents[place].text)[:3] if place is not None and random_.random() < 0.4 else []
    return (question.text, *said[:1])


def _group(
    question: Question, right: EvalDocument, wrong: EvalDocument | None, random_: random.Random
) -> list[Pair]:
    earlier: list[str] = []
    for turn in question.history[-2:]:
        earlier += [turn.question, *sentences(turn.answer)[:1]]
    answer = _place_of_answer(question, right.text) if question.answerable else None
    body, span = _window(right.text, answer, question.text, random_)
    known = question.history or span or not question.answerable
    first = Pair(
        question.text,
        tuple(earlier),
        right.title,
        body,
        relevant=question.labels != WIDER,
        answered=question.answerable if known else None,
        span=span,
    )
    if not wrong:
        return [first]
    other, _ = _window(wrong.text, None, question.text, random_)
    return [first, replace(first, heading=wrong.title, body=other, relevant=False, answered=False, span=None)]


def _place_of_answer(question: Question, text: str) -> tuple[int, int] | None:
    """The occurrence of an answer in the sentence that shares most with the question."""
    words = _grams(question.text)
    found: list[tuple[float, int, int]] = []
    for answer in sorted(set(question.answers), key=len)[:3]:
        for match in list(re.finditer(re.escape(answer), text))[:6] if answer else []:
            around = _grams(text[max(0, match.start() - 80) : match.end() + 80])
            found.append((-len(words & around), match.start(), match.end()))
    if not found:
        return None
    _, start, end = min(found)
    return start, end


def _grams(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]{2,}", text.lower())) | {
        text[i : i + 2] for i in range(len(text) - 1) if is_cjk(text[i : i + 2])
    }


def _window(
    text: str, span: tuple[int, int] | None, question: str, random_: random.Random
) -> tuple[str, tuple[int, int] | None]:
    """A part of the text of whole sentences where possible, round the span or what the question shares with it."""
    share = 0.36 if language_of(text[:200]) != "en" else 1.0
    size = int(random_.triangular(_WINDOW[0], _WINDOW[1], 380) * share)
    if len(text) <= size:
        return text, span
    middle = (span[0] + span[1]) // 2 if span else _likely(text, question, size)
    start = max(0, min(middle - random_.randint(int(size * 0.15), int(size * 0.85)), len(text) - size))
    if span:
        start = min(start, span[0])
    stops = [match.end() for match in re.finditer(r"[。！？；\n]|[.!?] ", text[:start])]
    if stops and start - stops[-1] < size // 3:
        start = stops[-1]
    end = max(start + size, span[1] if span else 0)
    stop = re.search(r"[。！？；\n]|[.!?] ", text[end : end + size // 4])
    end = end + stop.end() if stop else end
    return text[start:end], (span[0] - start, span[1] - start) if span else None


def _likely(text: str, question: str, size: int) -> int:
    """The middle of the part that shares most with the question."""
    words = _grams(question)
    starts = range(0, max(1, len(text) - size // 2), max(1, size // 3))
    best = max(starts, key=lambda start: len(words & _grams(text[start : start + size])))
    return best + size // 2


def _off_topic(pair: Pair, other: _Set, random_: random.Random) -> Pair:
    """Another set's question, or a courtesy, after this one, and this one's passage."""
    asked = random_.choice(other.questions).text if random_.random() < 0.9 else random_.choice(_COURTESIES)
    earlier = (*pair.earlier[-2:], pair.question)
    said = sentences(pair.body)
    if said and random_.random() < 0.5:
        earlier = (*earlier, random_.choice(said))
    return replace(pair, question=asked, earlier=earlier, relevant=False, answered=False, span=None)


_COURTESIES = (
    "thanks!",
    "ok",
    "hello",
    "谢谢",
    "好的",
    "你好",
    "thank you, that's all",
    "再见",
    "great",
    "明白了",
)
