"""Quotes the sentences that hold the answers which the reader marked."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from kb_assistant.llm.extract.narrowed import GOES_ON
from kb_assistant.llm.extract.sentence import Sentence, answer_to, are_same, unmarked_sentences
from kb_assistant.text.analyzer import analyze, analyze_query
from kb_assistant.text.marks import unmarked
from kb_assistant.text.rows import tables_and_lists

# How much less a marked answer counts for each passage before its own, and how much less sure than the best one a
# further one may be; both in logits.
_LATER, _AS_GOOD = 0.15, 0.3


def quote_answers(
    passages: Sequence[str],
    answers: Sequence[tuple[int, int, float] | None],
    also: Sequence[tuple[int, int] | None] = (),
    *,
    on: bool = False,
    most: int = 3,
    characters: int = 300,
) -> list[Sentence]:
    """The sentences that hold the answers which the reader marked, in the order of the passages; none if it marked
    none.

    Args:
        answers: Start, end and score, from 0 to 1, of the answer in each passage.
        also: Start and end of another one, nearly as sure; that of the best passage is quoted.
        on: Whether the paragraphs are quoted on, as far as there is room.
        most: Most sentences.
        characters: Longest total; the best sentence is always quoted whole.
    """
    marked = [
        (_logit(answer[2]) - _LATER * number, Sentence(text, number))
        for number, (passage, answer) in enumerate(zip(passages, answers, strict=True), start=1)
        if answer and (text := _sentence_at(passage, answer[0], answer[1]))
    ]
    marked.sort(key=lambda one: -one[0])
    picked: list[Sentence] = []
    for score, sentence in marked[:most]:
        room = characters - sum(len(one.text) for one in picked)
        if picked and (score < marked[0][0] - _AS_GOOD or len(sentence.text) > room):
            break
        if not any(are_same(sentence, one) for one in picked):
            picked.append(sentence)
    other = _other(picked[0], passages, also) if picked else None
    room = characters - sum(len(one.text) for one in picked)
    if other and other not in picked and len(picked) < most and len(other.text) <= room:
        picked.insert(1, other)
    if on:
        picked = _quoted_on(picked, passages, most, characters)
    return sorted(picked, key=lambda one: one.passage)


def _other(best: Sentence, passages: Sequence[str], also: Sequence[tuple[int, int] | None]) -> Sentence | None:
    """The sentence of the best passage that holds its other answer."""
    span = also[best.passage - 1] if len(also) >= best.passage else None
    text = _sentence_at(passages[best.passage - 1], *span) if span else ""
    return Sentence(text, best.passage) if text and text != best.text else None


def with_what_it_is_about(
    question: str, found: Sequence[Sentence], passages: Sequence[str], *, most: int = 3, characters: int = 300
) -> list[Sentence]:
    """The sentences; before one that begins with a pronoun also the one that it goes on from, where that has words
    of the question which the pronoun stands for, and there is room."""
    asked, told = set(analyze_query(question)), list[Sentence]()
    count, room = len(found), characters - sum(len(one.text) for one in found)
    for one in found:
        before = _before(one, passages[one.passage - 1]) if GOES_ON.match(one.text) and count < most else None
        new = before and before not in (*found, *told) and asked & before.terms - one.terms
        if before and new and len(before.text) <= room:
            told.append(before)
            count, room = count + 1, room - len(before.text)
        told.append(one)
    return told


def with_the_list(found: Sequence[Sentence], passages: Sequence[str], characters: int) -> list[Sentence]:
    """The sentences; for one in an item of a list all items of the list, if there is room."""
    told: list[Sentence] = []
    for one in found:
        lists = (rows for rows in tables_and_lists(passages[one.passage - 1]) if rows[0].kind == "item")
        every = ([text for row in rows for text in unmarked_sentences(row.text)] for rows in lists)
        items = next((texts for texts in every if one.text in texts), [])
        fits = sum(map(len, items)) <= characters
        told += [Sentence(text, one.passage) for text in items] if items and fits else [one]
    return list(dict.fromkeys(told))


def naming_what_is_asked(
    question: str, found: Sequence[Sentence], passages: Sequence[str], headings: Sequence[str]
) -> list[Sentence]:
    """The sentences that have words of the question, as whether something is so is said by a sentence that names
    it; words of the headings tell nothing. None if only others of their passages have some; all if none has."""
    places = {one.passage for one in found}
    above = {term for n, heading in enumerate(headings, start=1) if n in places for term in analyze(heading)}
    telling = set(analyze_query(question)) - above
    if naming := [one for one in found if _has_any(telling, one)]:
        return naming
    others = (Sentence(text, n) for n in places for text in unmarked_sentences(passages[n - 1]))
    return [] if any(_has_any(telling, one) for one in others) else list(found)


def _has_any(words: Collection[str], sentence: Sentence) -> bool:
    """Whether a sentence has one of the words."""
    return any(map(sentence.has, words))


def naming_fully(name: str, found: Sequence[Sentence], passages: Sequence[str]) -> list[Sentence]:
    """The sentences that have most of a name's words; if another one has more, the first such in its place, as of
    two alike names a small reader takes one for the other. All if no sentence has any."""
    wanted = set(analyze(name))
    every = [
        Sentence(text, n) for n, passage in enumerate(passages, start=1) for text in unmarked_sentences(passage)
    ]
    most = max((len(wanted & one.terms) for one in every), default=0)
    naming = [one for one in (*found, *every) if len(wanted & one.terms) == most]
    kept = [one for one in found if one in naming]
    return (kept or naming[:1]) if most else list(found)


def with_what_is_announced(
    found: Sequence[Sentence], passages: Sequence[str], *, most: int = 3, characters: int = 300
) -> list[Sentence]:
    """The sentences; behind one that ends with a colon what follows it, as far as there is room. What announces
    nothing that can be quoted is left out, unless it is all there is."""
    told: list[Sentence] = []
    room = characters - sum(len(one.text) for one in found)
    for one in found:
        if not one.text.rstrip("*_ ").endswith((":", "：")):
            told.append(one)
            continue
        following = [Sentence(text, one.passage) for text in _following(one, passages[one.passage - 1])]
        quoted = list[Sentence]()
        for each in following[:most]:
            if (quoted and len(each.text) > room) or each in found:
                break
            quoted.append(each)
            room -= len(each.text)
        told += [one, *quoted] if quoted or len(found) == 1 or any(each in found for each in following[:1]) else []
    return told


def _quoted_on(picked: Sequence[Sentence], passages: Sequence[str], most: int, characters: int) -> list[Sentence]:
    """The sentences, each with those behind it in its paragraph as far as there is room; the first ones first."""
    found, count, room = [], len(picked), characters - sum(len(one.text) for one in picked)
    for one in picked:
        found.append(one)
        for text in _behind(one, passages[one.passage - 1]):
            following = Sentence(text, one.passage)
            if count >= most or len(text) > room or following in picked:
                break
            found.append(following)
            count, room = count + 1, room - len(text)
    return found


def _before(sentence: Sentence, passage: str) -> Sentence | None:
    """The sentence before one in its line."""
    line = next((line for line in passage.splitlines() if sentence.text in unmarked(line)), "")
    texts = unmarked_sentences(line)
    place = texts.index(sentence.text) if sentence.text in texts else 0
    return Sentence(texts[place - 1], sentence.passage) if place else None


def _following(sentence: Sentence, passage: str) -> list[str]:
    """The sentences behind one, up to the next that announces something."""
    texts = unmarked_sentences(passage)
    behind = texts[texts.index(sentence.text) + 1 :] if sentence.text in texts else []
    ends = (place for place, text in enumerate(behind) if text.rstrip("*_ ").endswith((":", "：")))
    return behind[: next(ends, None)]


def _behind(sentence: Sentence, passage: str) -> list[str]:
    """The sentences behind one in its line."""
    line = next((line for line in passage.splitlines() if sentence.text in unmarked(line)), "")
    texts = unmarked_sentences(line)
    return texts[texts.index(sentence.text) + 1 :] if sentence.text in texts else []


def _sentence_at(passage: str, start: int, end: int) -> str:
    """The sentence that the span lies in, or begins in; "" if the span is no part of a sentence."""
    wanted, place = _squeezed(unmarked(passage[start:end])), len(_squeezed(unmarked(passage[:start])))
    seen, found, texts = 0, [], unmarked_sentences(passage)
    for number, text in enumerate(texts):
        squeezed = _squeezed(text)
        if wanted and (at := _begins_in(squeezed, wanted)) >= 0:
            found.append((abs(seen + at - place), number))
        seen += len(squeezed)
    return answer_to(texts, min(found)[1]) if found else ""


def _begins_in(sentence: str, wanted: str) -> int:
    """Where a span begins in a sentence that holds it, is part of it, or ends with its beginning; -1 if none."""
    if wanted in sentence:
        return sentence.index(wanted)
    if sentence and sentence in wanted:
        return 0
    lengths = range(min(len(sentence), len(wanted)), 0, -1)
    return next((len(sentence) - length for length in lengths if sentence.endswith(wanted[:length])), -1)


def _squeezed(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _logit(probability: float) -> float:
    inner = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(inner / (1 - inner))
